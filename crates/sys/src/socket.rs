//! Unix sockets that keep message boundaries and carry descriptors.
//!
//! A child's standard input is one end of such a pair; the supervisor's status door is one
//! with an abstract name, which leaves nothing behind in any file system.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// How many descriptors one message can carry.
pub const FDS_MAX: usize = 64;

/// One end of a connection.
#[derive(Debug)]
pub struct Seqpacket {
    fd: OwnedFd,
}

/// What arrived.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer the message filled.
    pub length: usize,
    /// The descriptors it carried, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Who is at the other end, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process, at the time it connected.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

impl Seqpacket {
    /// Two ends, both blocking.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC;
        let (near, far) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self { fd: near }, Self { fd: far }))
    }

    /// The end that a child of ours was given as its standard input, which is then empty.
    ///
    /// # Errors
    /// When standard input is no such socket, or what the kernel says.
    pub fn from_stdin() -> io::Result<Self> {
        let stdin = io::stdin();
        if rustix::net::sockopt::socket_type(&stdin)? != SocketType::SEQPACKET {
            return Err(io::Error::from(Errno::NOTSOCK));
        }
        let fd = stdin.as_fd().try_clone_to_owned()?;
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(nothing)?;
        Ok(Self { fd })
    }

    /// Connects to the abstract name `name`.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens there, else what the kernel says.
    pub fn connect(name: &str) -> io::Result<Self> {
        let fd = unix_socket()?;
        rustix::net::connect(&fd, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        Ok(Self { fd })
    }

    /// Sends one message with descriptors; whole or not at all.
    ///
    /// # Errors
    /// What the kernel says: `BrokenPipe` when the peer is gone. Panics above [`FDS_MAX`]
    /// descriptors, which is our own bug.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        assert!(fds.len() <= FDS_MAX, "at most {FDS_MAX} descriptors a message");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::from(Errno::NOBUFS));
        }
        let slices = [IoSlice::new(bytes)];
        let flags = SendFlags::NOSIGNAL;
        let sent = retry(|| rustix::net::sendmsg(&self.fd, &slices, &mut ancillary, flags))?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Waits for one message. A length of 0 without descriptors means that the peer is gone.
    ///
    /// # Errors
    /// `InvalidData` when the message was longer than `into` or carried more descriptors than
    /// [`FDS_MAX`], else what the kernel says.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(into)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = retry(|| rustix::net::recvmsg(&self.fd, &mut slices, &mut ancillary, flags))?;
        let mut fds = Vec::new();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights);
            }
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            let text = "a message was cut short";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Received { length: message.bytes, fds })
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn peer(&self) -> io::Result<Peer> {
        let credentials = rustix::net::sockopt::socket_peercred(&self.fd)?;
        let pid = credentials.pid.as_raw_nonzero().get();
        Ok(Peer { pid: pid.unsigned_abs(), uid: credentials.uid.as_raw() })
    }

    /// From now on sending and receiving give up with `WouldBlock` instead of waiting longer.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_timeout(&self, timeout: std::time::Duration) -> io::Result<()> {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};
        set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout))?;
        Ok(set_socket_timeout(&self.fd, Timeout::Send, Some(timeout))?)
    }
}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Seqpacket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl From<Seqpacket> for OwnedFd {
    fn from(socket: Seqpacket) -> Self {
        socket.fd
    }
}

/// A door with an abstract name.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

impl Listener {
    /// Listens at the abstract name `name`, which is free again when the listener is gone.
    ///
    /// # Errors
    /// `AddrInUse` when somebody listens there already, else what the kernel says.
    pub fn bind(name: &str) -> io::Result<Self> {
        let fd = unix_socket()?;
        rustix::net::bind(&fd, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        rustix::net::listen(&fd, 16)?;
        Ok(Self { fd })
    }

    /// Waits for somebody to connect.
    ///
    /// # Errors
    /// What the kernel says; most of it concerns that one connection only.
    pub fn accept(&self) -> io::Result<Seqpacket> {
        let fd = retry(|| rustix::net::accept_with(&self.fd, SocketFlags::CLOEXEC))?;
        Ok(Seqpacket { fd })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering::SeqCst;

    use super::{Listener, Seqpacket};
    use crate::region::{Access, Region};
    use crate::words::Words;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (near, far) = Seqpacket::pair().unwrap();
        let region = Region::shared("segue-test", 4).unwrap();
        region.store(2, 77, SeqCst);
        let fds = [region.fd().unwrap(), near.as_fd()];
        near.send(b"two", &fds).unwrap();
        near.send(b"", &fds[..1]).unwrap();
        let mut bytes = [0; 16];
        let mut first = far.receive(&mut bytes).unwrap();
        assert_eq!((&bytes[..first.length], first.fds.len()), (&b"two"[..], 2));
        let seen = Region::adopt(first.fds.swap_remove(0), Access::Read).unwrap();
        assert_eq!(seen.load(2, SeqCst), 77);
        let second = far.receive(&mut bytes).unwrap();
        assert_eq!((second.length, second.fds.len()), (0, 1));
    }

    #[test]
    fn a_message_too_long_for_its_reader_is_an_error_and_not_half_a_message() {
        let (near, far) = Seqpacket::pair().unwrap();
        near.send(b"0123456789", &[]).unwrap();
        near.send(b"next", &[]).unwrap();
        let mut bytes = [0; 4];
        assert_eq!(far.receive(&mut bytes).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(far.receive(&mut bytes).unwrap().length, 4);
        assert_eq!(&bytes, b"next");
    }

    #[test]
    fn a_peer_that_is_gone_reads_as_nothing_and_writes_as_an_error() {
        let (near, far) = Seqpacket::pair().unwrap();
        drop(far);
        let got = near.receive(&mut [0; 4]).unwrap();
        assert_eq!((got.length, got.fds.len()), (0, 0));
        assert_eq!(near.send(b"x", &[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn an_abstract_name_has_one_owner_and_knows_its_visitors() {
        let name = format!("segue-test-{}", std::process::id());
        assert_eq!(Seqpacket::connect(&name).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let door = Listener::bind(&name).unwrap();
        assert_eq!(Listener::bind(&name).unwrap_err().kind(), ErrorKind::AddrInUse);
        let visitor = Seqpacket::connect(&name).unwrap();
        assert_eq!(door.accept().unwrap().peer().unwrap().pid, std::process::id());
        assert_eq!(visitor.peer().unwrap().pid, std::process::id());
        drop(door);
        drop(Listener::bind(&name).unwrap());
    }
}
