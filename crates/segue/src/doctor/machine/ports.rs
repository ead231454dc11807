//! Ports: whether an engine can listen where it would, and who else does.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use crate::cli::endpoint::Endpoint;
use crate::doctor::finding::Finding;
use crate::host::door;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ports {
    asked: Vec<Port>,
    /// Engines that answer: port and process.
    engines: Vec<(u16, u32)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Port {
    addr: SocketAddr,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// An engine listens there.
    Engine(u32),
    /// Somebody else does; as far as it may be known, who.
    Taken(Option<String>),
    /// There is no such address here.
    Strange(String),
}

impl Ports {
    /// Looks at the places where an engine would listen.
    pub(crate) fn look(endpoints: &[Endpoint]) -> Self {
        let asked = endpoints.iter().filter(|it| it.named || it.addr.is_ipv4() || has_ipv6());
        let asked = asked.map(|it| Port { addr: it.addr, state: state_of(it.addr) }).collect();
        let engines = engines(&std::fs::read_to_string("/proc/net/unix").unwrap_or_default());
        Self { asked, engines }
    }

    /// What that means.
    pub(crate) fn judge(&self) -> Vec<Finding> {
        let mut found: Vec<_> = self.asked.iter().map(Port::judge).collect();
        let engines: Vec<_> =
            self.engines.iter().map(|(port, pid)| format!("port {port}: pid {pid}")).collect();
        found.push(match engines.len() {
            0 => Finding::ok("engines", "none runs here"),
            1 => Finding::ok("engines", engines.join(", ")),
            _ => Finding::warn(
                "engines",
                format!("several share this machine: {}", engines.join(", ")),
            )
            .cure("segue stop --osc PORT  # for the one that is too many"),
        });
        found
    }
}

impl Port {
    fn judge(&self) -> Finding {
        let (check, addr) = ("port", self.addr);
        let other = "segue run --osc 5006  # and the same for send, status, stop";
        match &self.state {
            State::Free => Finding::ok(check, format!("{addr} is free")),
            State::Engine(pid) => {
                Finding::ok(check, format!("{addr} belongs to the engine of pid {pid}"))
            }
            State::Taken(Some(who)) => {
                Finding::bad(check, format!("{addr} is held by {who}")).cure(other)
            }
            State::Taken(None) => Finding::bad(check, format!("{addr} is held by somebody else"))
                .cure(format!("sudo ss -lnptu 'sport = :{}'", addr.port()))
                .cure(other),
            State::Strange(why) => {
                Finding::bad(check, format!("{addr} cannot be listened on: {why}")).cure(other)
            }
        }
    }
}

fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

fn state_of(addr: SocketAddr) -> State {
    let taken = match (UdpSocket::bind(addr), TcpListener::bind(addr)) {
        (Ok(_), Ok(_)) => return State::Free,
        (Err(error), _) | (_, Err(error)) => error,
    };
    match (door::owner(addr.port()), taken.kind()) {
        (Some(pid), _) => State::Engine(pid),
        (None, ErrorKind::AddrInUse) => State::Taken(holder(Path::new("/proc"), addr.port())),
        _ => State::Strange(taken.to_string()),
    }
}

/// Who has a socket on this port, as far as this user may know.
fn holder(proc: &Path, port: u16) -> Option<String> {
    let tables = ["net/udp", "net/udp6", "net/tcp", "net/tcp6"]
        .map(|table| std::fs::read_to_string(proc.join(table)).unwrap_or_default());
    let inodes: Vec<_> = tables.iter().flat_map(|table| inodes_on(table, port)).collect();
    for process in std::fs::read_dir(proc).ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid.parse::<u32>().is_err() {
            continue;
        }
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let mut sockets = open.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        if sockets.any(|it| inodes.iter().any(|inode| it.as_os_str() == inode.as_str())) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

/// What the descriptors of sockets bound to `port` point to, by one of the kernel's tables.
fn inodes_on(table: &str, port: u16) -> Vec<String> {
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let (_, bound) = words.nth(1)?.rsplit_once(':')?;
        (u16::from_str_radix(bound, 16) == Ok(port)).then_some(())?;
        Some(format!("socket:[{}]", words.nth(7)?))
    };
    table.lines().skip(1).filter_map(of).collect()
}

/// Engines by the names of their doors.
fn engines(sockets: &str) -> Vec<(u16, u32)> {
    let names = sockets.lines().filter_map(|line| line.split_whitespace().last());
    let mut ports: Vec<u16> =
        names.filter_map(|name| name.strip_prefix("@segue-")?.parse().ok()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.into_iter().filter_map(|port| Some((port, door::owner(port)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::{Port, Ports, State, inodes_on, state_of};
    use crate::doctor::finding::Grade;

    #[test]
    fn a_port_somebody_holds_is_named_with_its_holder() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let State::Taken(Some(who)) = state_of(addr) else { panic!("{:?}", state_of(addr)) };
        assert!(who.contains(&format!("(pid {})", std::process::id())), "{who}");
    }

    #[test]
    fn a_line_of_the_kernel_gives_port_and_socket() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                     uid  timeout inode\n 3: 0100007F:138D 00000000:0000 07 00000000:00000000 \
                     00:00000000 00000000  0  0 71311 2 0000000000000000 0\n";
        assert_eq!(inodes_on(table, 5005), ["socket:[71311]"]);
        assert!(inodes_on(table, 5006).is_empty());
    }

    #[test]
    fn a_held_port_is_bad_and_an_engine_on_it_is_not() {
        let addr = ([127, 0, 0, 1], 5005).into();
        let judge = |state| Ports { asked: vec![Port { addr, state }], engines: vec![] }.judge();
        let grade = |state| judge(state)[0].grade;
        assert_eq!(grade(State::Free), Grade::Ok);
        assert_eq!(grade(State::Engine(7)), Grade::Ok);
        assert_eq!(grade(State::Taken(None)), Grade::Bad);
        assert_eq!(grade(State::Strange("no such address".into())), Grade::Bad);
        let two = Ports { asked: vec![], engines: vec![(5005, 7), (5006, 8)] };
        assert_eq!(two.judge()[0].grade, Grade::Warn);
    }
}
