//! Packets in and out over a socket that never waits, in memory that was there before.
//!
//! *Layout*: length, channel, offset (two words), flags, each four bytes in network order, then
//! the payload. Channel `u32::MAX` carries commands, any other a stream's sound.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use pulseaudio::protocol::{DESCRIPTOR_SIZE, Descriptor, DescriptorFlags, encode_descriptor};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// The channel of commands.
const COMMANDS: u32 = u32::MAX;

/// No list of sinks is longer; a packet that claims to be is not read.
const PACKET_MAX: usize = 1 << 20;

/// What came over the socket and is not yet read.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

/// What may have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A command's payload lies at this place of the inbox.
    Command(std::ops::Range<usize>),
    /// Nothing whole yet.
    Nothing,
}

impl Inbox {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; DESCRIPTOR_SIZE + PACKET_MAX], from: 0, to: 0 }
    }

    /// Takes what the socket has, without waiting.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server has closed; else what the kernel says.
    pub(super) fn fill(&mut self, socket: &OwnedFd) -> io::Result<()> {
        self.bytes.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let free = &mut self.bytes[self.to..];
        match rustix::net::recv(socket, free, RecvFlags::empty()) {
            // Whoever fills has read all whole packets, and the longest one fits. A server that
            // ends with something unread resets the connection.
            Ok((0, _)) | Err(Errno::CONNRESET) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((read, _)) => {
                self.to += read;
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// The next whole command. Sound is not for us and is passed over.
    ///
    /// # Errors
    /// `InvalidData` for a packet longer than any.
    pub(super) fn next(&mut self) -> io::Result<Came> {
        loop {
            let held = &self.bytes[self.from..self.to];
            let Some(head) = held.first_chunk::<8>() else { return Ok(Came::Nothing) };
            let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
            let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
            let channel = u32::from_be_bytes([c0, c1, c2, c3]);
            if length > PACKET_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if held.len() < DESCRIPTOR_SIZE + length {
                return Ok(Came::Nothing);
            }
            let payload = self.from + DESCRIPTOR_SIZE;
            self.from = payload + length;
            if channel == COMMANDS {
                return Ok(Came::Command(payload..self.from));
            }
        }
    }

    /// The payload at a place that [`Self::next`] gave.
    pub(super) fn payload(&self, at: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[at]
    }
}

/// What is still to be written.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Outbox {
    /// One that holds `sound` bytes of sound in up to `packets` packets, and a few commands.
    pub(super) fn new(sound: usize, packets: usize) -> Self {
        const COMMAND_BYTES: usize = 1024;
        let bytes = sound + packets * DESCRIPTOR_SIZE + COMMAND_BYTES;
        Self { bytes: vec![0; bytes], from: 0, to: 0 }
    }

    /// Whether something is left to write.
    pub(super) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether a packet of so many bytes of sound has room.
    pub(super) fn has_room(&self, sound: usize) -> bool {
        let held = self.to - self.from;
        self.bytes.len() - held >= DESCRIPTOR_SIZE + sound
    }

    /// Adds samples for `channel`; they must have room.
    pub(super) fn push_sound(&mut self, channel: u32, samples: &[f32]) {
        let bytes = size_of_val(samples);
        let place = self.place(DESCRIPTOR_SIZE + bytes);
        let Some((head, sound)) = place.split_first_chunk_mut::<DESCRIPTOR_SIZE>() else { return };
        let descriptor = Descriptor {
            // A request is far below 4 GiB; so is its answer.
            length: bytes as u32,
            channel,
            offset: 0,
            flags: DescriptorFlags::empty(),
        };
        encode_descriptor(head, &descriptor);
        for (place, sample) in sound.chunks_exact_mut(4).zip(samples) {
            place.copy_from_slice(&sample.to_le_bytes());
        }
    }

    /// Adds a packet that is whole already, if it has room.
    pub(super) fn push(&mut self, packet: &[u8]) {
        if self.bytes.len() - (self.to - self.from) >= packet.len() {
            self.place(packet.len()).copy_from_slice(packet);
        }
    }

    /// Writes what the socket takes, without waiting. What nobody reads any more is forgotten:
    /// reading tells what the server said last, and that it is gone.
    ///
    /// # Errors
    /// What else the kernel says.
    pub(super) fn flush(&mut self, socket: impl AsFd) -> io::Result<()> {
        while self.from < self.to {
            let held = &self.bytes[self.from..self.to];
            match rustix::net::send(&socket, held, SendFlags::NOSIGNAL) {
                Ok(written) => self.from += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::PIPE) => self.from = self.to,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// The next `bytes` bytes to fill; there is room for them.
    fn place(&mut self, bytes: usize) -> &mut [u8] {
        if self.to + bytes > self.bytes.len() {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        self.to += bytes;
        &mut self.bytes[self.to - bytes..self.to]
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use segue_sys::testing::assert_no_alloc;

    use super::{Came, Inbox, Outbox, PACKET_MAX};

    fn pair() -> (OwnedFd, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (ours.into(), theirs)
    }

    fn packet(channel: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
        bytes.extend(channel.to_be_bytes());
        bytes.extend([0; 12]);
        bytes.extend(payload);
        bytes
    }

    fn commands(inbox: &mut Inbox) -> Vec<Vec<u8>> {
        let mut found = vec![];
        while let Came::Command(at) = inbox.next().unwrap() {
            found.push(inbox.payload(at).to_vec());
        }
        found
    }

    #[test]
    fn packets_are_read_whole_however_the_socket_cuts_them() {
        let (ours, mut theirs) = pair();
        let sent = [packet(u32::MAX, b"one"), packet(3, b"sound"), packet(u32::MAX, b"")].concat();
        for step in [1, 7, 19, 20, 21, 200] {
            let mut inbox = Inbox::new();
            let mut found = vec![];
            for part in sent.chunks(step) {
                theirs.write_all(part).unwrap();
                inbox.fill(&ours).unwrap();
                found.extend(commands(&mut inbox));
            }
            assert_eq!(found, [b"one".to_vec(), vec![]], "{step} bytes at a time");
        }
    }

    #[test]
    fn the_longest_packet_fits_and_a_longer_one_is_refused() {
        let (ours, mut theirs) = pair();
        let payload = vec![9; PACKET_MAX];
        let sent = [packet(u32::MAX, b"before"), packet(u32::MAX, &payload)].concat();
        let writer = std::thread::spawn(move || {
            theirs.write_all(&sent).unwrap();
            theirs
        });
        let mut inbox = Inbox::new();
        let mut found = vec![];
        while found.len() < 2 {
            inbox.fill(&ours).unwrap();
            found.extend(commands(&mut inbox));
        }
        assert_eq!(found[1], payload);
        let mut theirs = writer.join().unwrap();
        let long = PACKET_MAX as u32 + 1;
        theirs.write_all(&[&long.to_be_bytes()[..], &[0xff; 16]].concat()).unwrap();
        inbox.fill(&ours).unwrap();
        assert_eq!(inbox.next().unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_server_that_closes_is_noticed() {
        let (ours, theirs) = pair();
        let mut inbox = Inbox::new();
        inbox.fill(&ours).unwrap();
        drop(theirs);
        assert_eq!(inbox.fill(&ours).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let mut outbox = Outbox::new(64, 1);
        outbox.push_sound(0, &[0.5]);
        outbox.flush(&ours).unwrap();
        assert!(outbox.is_empty());
    }

    #[test]
    fn sound_that_the_socket_does_not_take_is_kept_in_order_without_allocation() {
        let (ours, mut theirs) = pair();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
        let mut outbox = Outbox::new(256 * 4, 1);
        let samples: Vec<f32> = (0..256_u16).map(f32::from).collect();
        let mut written = 0;
        assert_no_alloc(|| {
            while outbox.has_room(256 * 4) {
                outbox.push_sound(7, &samples);
                outbox.flush(&ours).unwrap();
                written += 1;
            }
        });
        assert!(!outbox.is_empty());
        let mut read = vec![0; written * (20 + 1024)];
        let reader = std::thread::spawn(move || {
            theirs.read_exact(&mut read).unwrap();
            read
        });
        while !outbox.is_empty() {
            outbox.flush(&ours).unwrap();
        }
        let sound: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(reader.join().unwrap(), packet(7, &sound).repeat(written));
    }
}
