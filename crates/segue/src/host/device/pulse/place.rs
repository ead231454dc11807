//! Where PulseAudio's server is to be found, as its own library looks for it, and the cookie.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// A cookie has exactly so many bytes.
const COOKIE_BYTES: usize = 256;

/// Where a daemon for the whole machine listens.
const SYSTEM_SOCKET: &str = "/run/pulse/native";

/// Something that knows the environment's variables; in tests not the real one.
pub(super) type Surroundings<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The environment of this process.
pub(super) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The sockets to try, in order. Empty when `PULSE_SERVER` names only what is reached over the
/// network: audio with a deadline does not go there.
pub(super) fn sockets(surroundings: Surroundings<'_>) -> Vec<PathBuf> {
    if let Some(servers) = surroundings("PULSE_SERVER") {
        let servers = servers.to_string_lossy();
        return servers.split_ascii_whitespace().filter_map(local).collect();
    }
    let path = |name| surroundings(name).map(PathBuf::from);
    let own = path("PULSE_RUNTIME_PATH")
        .or_else(|| path("XDG_RUNTIME_DIR").map(|folder| folder.join("pulse")))
        .map(|folder| folder.join("native"));
    own.into_iter().chain([PathBuf::from(SYSTEM_SOCKET)]).collect()
}

/// The path in one entry of `PULSE_SERVER`: `unix:PATH`, `PATH`, each perhaps with the name of
/// a machine in braces before it.
fn local(server: &str) -> Option<PathBuf> {
    let server = match server.strip_prefix('{') {
        Some(named) => named.split_once('}')?.1,
        None => server,
    };
    let path = server.strip_prefix("unix:").unwrap_or(server);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// The cookie; zeros where there is none, which a server on this machine accepts from its own
/// user.
pub(super) fn cookie(surroundings: Surroundings<'_>) -> Vec<u8> {
    let path = |name| surroundings(name).map(PathBuf::from);
    let home = path("HOME");
    let config = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let places = [
        path("PULSE_COOKIE"),
        config.map(|folder| folder.join("pulse/cookie")),
        home.map(|folder| folder.join(".pulse-cookie")),
    ];
    let found = places.into_iter().flatten().find_map(|place| {
        let mut bytes = vec![0; COOKIE_BYTES];
        File::open(place).ok()?.read_exact(&mut bytes).ok()?;
        Some(bytes)
    });
    found.unwrap_or_else(|| vec![0; COOKIE_BYTES])
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::{cookie, sockets};

    fn known(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let variables: Vec<(String, OsString)> =
            variables.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
        move |name| variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    fn looked(variables: &[(&str, &str)]) -> Vec<String> {
        let surroundings = known(variables);
        sockets(&surroundings).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_runtime_folder_is_looked_into_and_then_the_machine_s_own_daemon() {
        assert_eq!(looked(&[]), ["/run/pulse/native"]);
        let home = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(looked(&[home]), ["/run/user/7/pulse/native", "/run/pulse/native"]);
        let own = ("PULSE_RUNTIME_PATH", "/x/p");
        assert_eq!(looked(&[home, own]), ["/x/p/native", "/run/pulse/native"]);
    }

    #[test]
    fn a_server_named_by_the_user_is_the_only_one() {
        let named = |value| looked(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("PULSE_SERVER", value)]);
        assert_eq!(named("unix:/x/a"), ["/x/a"]);
        assert_eq!(named("{0f3a}unix:/x/a  /x/b"), ["/x/a", "/x/b"]);
        assert_eq!(named("tcp:studio:4713 studio unix:/x/a"), ["/x/a"]);
        assert!(named("tcp:studio:4713").is_empty());
        assert!(named("{broken").is_empty());
    }

    #[test]
    fn the_first_whole_cookie_counts_and_a_missing_one_is_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let home = [("HOME", home.as_str())];
        assert_eq!(cookie(&known(&home)), vec![0; 256]);
        std::fs::write(folder.path().join(".pulse-cookie"), [7; 256]).unwrap();
        assert_eq!(cookie(&known(&home)), vec![7; 256]);
        let newer: PathBuf = folder.path().join(".config/pulse");
        std::fs::create_dir_all(&newer).unwrap();
        std::fs::write(newer.join("cookie"), [8; 100]).unwrap();
        assert_eq!(cookie(&known(&home)), vec![7; 256]);
        std::fs::write(newer.join("cookie"), [8; 256]).unwrap();
        assert_eq!(cookie(&known(&home)), vec![8; 256]);
    }
}
