//! Where an engine listens: `HOST:PORT` or `PORT`, several with commas between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port when none is given.
pub(crate) const PORT: u16 = 5005;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The address.
    pub(crate) addr: SocketAddr,
    /// Asked for by name: an error if it cannot be had. Else it is skipped, and said.
    pub(crate) named: bool,
}

/// Some addresses, in the order they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints(pub(crate) Vec<Endpoint>);

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no address; write HOST:PORT, as in 127.0.0.1:5005 or [::1]:5005, or PORT")]
pub(crate) struct EndpointError(String);

impl Default for Endpoints {
    fn default() -> Self {
        Self(loopback(PORT, false).to_vec())
    }
}

impl FromStr for Endpoints {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let mut all = Vec::new();
        for part in text.split(',') {
            all.extend(one(part.trim())?);
        }
        Ok(Self(all))
    }
}

fn one(text: &str) -> Result<Vec<Endpoint>, EndpointError> {
    let wrong = || EndpointError(text.to_owned());
    if let Ok(addr) = text.parse() {
        return Ok(vec![Endpoint { addr, named: true }]);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![Endpoint { addr: SocketAddr::new(ip, PORT), named: true }]);
    }
    let port = match text.split_once(':') {
        None if text == "localhost" => PORT,
        None | Some(("", _)) => text.trim_start_matches(':').parse().map_err(|_| wrong())?,
        Some(("localhost", port)) => port.parse().map_err(|_| wrong())?,
        Some(_) => return Err(wrong()),
    };
    // A machine may have only one of the two: the other one being impossible is no error.
    let [four, six] = loopback(port, false);
    Ok(vec![Endpoint { named: true, ..four }, six])
}

fn loopback(port: u16, named: bool) -> [Endpoint; 2] {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .map(|ip| Endpoint { addr: SocketAddr::new(ip, port), named })
}

#[cfg(test)]
mod tests {
    use super::Endpoints;

    fn addresses(text: &str) -> Vec<String> {
        text.parse::<Endpoints>().unwrap().0.iter().map(|it| it.addr.to_string()).collect()
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!(addresses("0.0.0.0:9000"), ["0.0.0.0:9000"]);
        assert_eq!(addresses("[::1]:7, 127.0.0.1:8"), ["[::1]:7", "127.0.0.1:8"]);
        assert_eq!(addresses("9000"), ["127.0.0.1:9000", "[::1]:9000"]);
        assert_eq!(addresses("localhost:9000"), ["127.0.0.1:9000", "[::1]:9000"]);
        assert_eq!(addresses("::1"), ["[::1]:5005"]);
        for wrong in ["", "host", "1.2.3.4:99999", "example.org:5005"] {
            assert!(wrong.parse::<Endpoints>().is_err(), "{wrong}");
        }
    }
}
