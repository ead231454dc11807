//! The OSC sockets: bound once by the supervisor, which hands them to one control after another.
//!
//! *Invariant*: the descriptors stay open here, so what is queued in them outlives a control.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::door;
use crate::cli::endpoint::Endpoint;
use crate::exit::{Exit, Failure};

/// What the kernel may queue for us: a burst of some ten thousand messages.
const RECEIVE_BYTES: usize = 4 << 20;

/// Ports tried where any will do.
const TRIES_MAX: usize = 64;

/// The sockets of one engine.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Where datagrams arrive.
    pub(crate) udp: Vec<UdpSocket>,
    /// Where connections arrive.
    pub(crate) tcp: Vec<TcpListener>,
    /// What was skipped, in words.
    pub(crate) skipped: Vec<String>,
    /// The port that names the engine.
    pub(crate) port: u16,
}

impl Ports {
    /// Binds every endpoint for UDP and TCP. A default that this machine cannot have is skipped.
    pub(crate) fn bind(endpoints: &[Endpoint]) -> Result<Self, Failure> {
        let mut ports = Self { udp: Vec::new(), tcp: Vec::new(), skipped: Vec::new(), port: 0 };
        for endpoint in endpoints {
            match both(endpoint.addr) {
                Ok((udp, tcp)) => {
                    if ports.port == 0 {
                        ports.port = udp.local_addr().map_or(endpoint.addr.port(), |it| it.port());
                    }
                    ports.udp.push(udp);
                    ports.tcp.push(tcp);
                }
                Err(error) if !endpoint.named && cannot_exist(&error) => {
                    ports.skipped.push(format!("{} is not there on this machine", endpoint.addr));
                }
                Err(error) => return Err(refusal(endpoint.addr, &error)),
            }
        }
        if ports.udp.is_empty() {
            let text = "there is no address to listen on; choose one with --osc HOST:PORT";
            return Err(Failure::new(Exit::Unavailable, text));
        }
        Ok(ports)
    }

    /// All descriptors, those for datagrams first.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.udp.iter().map(AsFd::as_fd).chain(self.tcp.iter().map(AsFd::as_fd))
    }

    /// The addresses in words.
    pub(crate) fn describe(&self) -> String {
        let addresses: Vec<_> =
            self.udp.iter().flat_map(UdpSocket::local_addr).map(|it| it.to_string()).collect();
        addresses.join(" and ")
    }
}

/// A socket for datagrams and one for connections on the same port. Where any port will do, the
/// kernel chooses one that is free for datagrams; if it is not for connections, another.
fn both(addr: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut taken = Vec::new();
    loop {
        let udp = datagrams(addr)?;
        match connections(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => {
                let may_try = addr.port() == 0 && taken.len() < TRIES_MAX;
                if error.kind() != io::ErrorKind::AddrInUse || !may_try {
                    return Err(error);
                }
                // Kept open until the end, so that it is not chosen again.
                taken.push(udp);
            }
        }
    }
}

fn datagrams(addr: SocketAddr) -> io::Result<UdpSocket> {
    let udp = socket(addr, SocketType::DGRAM)?;
    // Capped by the kernel's own limit, which is no error.
    let _ = sockopt::set_socket_recv_buffer_size(&udp, RECEIVE_BYTES);
    rustix::net::bind(&udp, &addr)?;
    Ok(UdpSocket::from(udp))
}

fn connections(addr: SocketAddr) -> io::Result<TcpListener> {
    let tcp = socket(addr, SocketType::STREAM)?;
    // Connections of an engine that has ended do not keep the next one out.
    sockopt::set_socket_reuseaddr(&tcp, true)?;
    rustix::net::bind(&tcp, &addr)?;
    rustix::net::listen(&tcp, 64)?;
    Ok(TcpListener::from(tcp))
}

fn socket(addr: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if addr.is_ipv6() {
        // Else [::] would take the port of 0.0.0.0 as well.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

fn cannot_exist(error: &io::Error) -> bool {
    let unsupported = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(unsupported)
}

fn refusal(addr: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use(addr),
        io::ErrorKind::PermissionDenied => {
            let text = format!("no permission to listen on {addr}; ports from 1024 up need none");
            Failure::new(Exit::Permission, text)
        }
        _ => {
            let text = format!("cannot listen on {addr}: {error}; choose another with --osc");
            Failure::new(Exit::Unavailable, text)
        }
    }
}

/// The port is taken: by whom, and what to do.
pub(super) fn in_use(addr: SocketAddr) -> Failure {
    let port = addr.port();
    let other = SocketAddr::new(addr.ip(), if port == u16::MAX { 5006 } else { port + 1 });
    let text = match door::owner(port) {
        Some(pid) => format!(
            "port {port} is in use: Segue is already running there (pid {pid}); end it with \
             'segue stop --osc {addr}', or choose another port with --osc {other}"
        ),
        None => format!(
            "port {port} of {} is in use by another program; choose another with --osc {other}",
            addr.ip()
        ),
    };
    Failure::new(Exit::TryAgain, text)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::Ports;
    use crate::cli::endpoint::Endpoint;
    use crate::exit::Exit;

    fn endpoint(text: &str, named: bool) -> Endpoint {
        Endpoint { addr: text.parse::<SocketAddr>().unwrap(), named }
    }

    #[test]
    fn a_default_that_cannot_exist_is_skipped_and_said_and_one_asked_for_is_an_error() {
        // 192.0.2.0/24 is for documentation: no machine has it.
        let default = [endpoint("127.0.0.1:0", false), endpoint("192.0.2.7:5005", false)];
        let ports = Ports::bind(&default).unwrap();
        assert_eq!(ports.udp.len(), 1);
        assert!(ports.skipped[0].contains("192.0.2.7"), "{:?}", ports.skipped);
        assert_ne!(ports.port, 0);
        let failure = Ports::bind(&[endpoint("192.0.2.7:5005", true)]).unwrap_err();
        assert_eq!(failure.exit, Exit::Unavailable);
        let failure = Ports::bind(&[endpoint("192.0.2.7:5005", false)]).unwrap_err();
        assert_eq!(failure.exit, Exit::Unavailable);
    }

    #[test]
    fn any_port_is_one_that_is_free_for_datagrams_and_connections() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let taken: Vec<_> = (0..3000).map_while(|_| super::connections(any).ok()).collect();
        assert!(taken.len() > 500, "so that some of the ports chosen are taken");
        for _ in 0..300 {
            let (udp, tcp) = super::both(any).unwrap();
            assert_eq!(udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        }
    }

    #[test]
    fn a_port_in_use_is_named_and_another_suggested() {
        let first = Ports::bind(&[endpoint("127.0.0.1:0", true)]).unwrap();
        let again = endpoint(&format!("127.0.0.1:{}", first.port), true);
        let failure = Ports::bind(&[again]).unwrap_err();
        assert_eq!(failure.exit, Exit::TryAgain);
        assert!(failure.text.contains(&format!("port {}", first.port)), "{failure}");
        assert!(failure.text.contains("--osc 127.0.0.1:"), "{failure}");
    }
}
