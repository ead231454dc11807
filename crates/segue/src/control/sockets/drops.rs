//! Datagrams the kernel dropped because nobody read them in time, by its own count.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::UdpSocket;
use std::os::fd::AsFd;

/// The kernel's tables, held open, and what was counted already.
#[derive(Debug)]
pub(in crate::control) struct Drops {
    tables: Vec<File>,
    seen: Option<u64>,
}

impl Drops {
    /// Opens the tables; later on control may not.
    pub(in crate::control) fn open() -> Self {
        let paths = ["/proc/net/udp", "/proc/net/udp6"];
        Self { tables: paths.iter().filter_map(|path| File::open(path).ok()).collect(), seen: None }
    }

    /// How many were dropped since the last call; what was lost before the first is not ours.
    pub(in crate::control) fn since(&mut self, sockets: &[UdpSocket]) -> u64 {
        let inodes: Vec<u64> = sockets
            .iter()
            .filter_map(|socket| rustix::fs::fstat(socket.as_fd()).ok().map(|stat| stat.st_ino))
            .collect();
        let total = self.tables.iter_mut().filter_map(read).map(|it| dropped(&it, &inodes)).sum();
        let before = self.seen.replace(total).unwrap_or(total);
        total.saturating_sub(before)
    }
}

/// A table as it is now.
fn read(table: &mut File) -> Option<String> {
    let mut text = String::new();
    table.rewind().and_then(|()| table.read_to_string(&mut text)).ok()?;
    Some(text)
}

/// The sum of the last column over the lines whose inode is one of these.
fn dropped(table: &str, inodes: &[u64]) -> u64 {
    let of_line = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let inode: u64 = columns.get(9)?.parse().ok()?;
        inodes.contains(&inode).then(|| columns.last()?.parse::<u64>().ok())?
    };
    table.lines().filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::dropped;

    #[test]
    fn drops_of_our_own_sockets_are_summed() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode ref pointer drops\n\
                     1: 0100007F:138D 00000000:0000 07 00000000:00000000 00:00000000 00000000 \
                     0 0 777 2 0000000000000000 5\n\
                     2: 0100007F:138E 00000000:0000 07 00000000:00000000 00:00000000 00000000 \
                     0 0 778 2 0000000000000000 9\n";
        assert_eq!(dropped(table, &[777]), 5);
        assert_eq!(dropped(table, &[777, 778]), 14);
        assert_eq!(dropped(table, &[1]), 0);
    }
}
