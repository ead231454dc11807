//! Two clients, one that falls silent, and a control process that dies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use segue_rack::{Edit, Setup, Value};

use super::row::{Owner, Why};
use super::transaction::{EDITS_MAX, TEXT_BYTES_MAX};
use super::{BYTES_MAX, Ended, Row, SILENCE, Staging, TRANSACTIONS_MAX, Wanted};
use crate::control::sockets::Sender;
use crate::osc::refusal::Code;

const LIVE: &str = "segue = 1\nsaw = { type = \"osc\", freq = 110 } # low\n[out]\nin = \"saw\"\n";
const START: Duration = Duration::ZERO;

/// A sender of this machine.
fn udp(port: u16) -> Sender {
    Sender::Udp(0, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

fn create(id: &str) -> Edit {
    Edit::Create { id: id.into(), kind: "osc".into(), params: Vec::new() }
}

fn delete(id: &str) -> Edit {
    Edit::Delete { id: id.into() }
}

fn connect(src: &str, dst: &str) -> Edit {
    Edit::Connect { src: src.into(), dst: dst.into(), amount: None }
}

fn set(id: &str, value: f32) -> Edit {
    Edit::Set { id: id.into(), param: "freq".into(), value: Value::Number(value) }
}

/// A staging, with what has been committed.
struct Bench {
    staging: Staging,
    live: String,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        Self { staging: Staging::default(), live: LIVE.to_owned(), now: START }
    }

    fn begin(&mut self, sender: Sender) -> Result<(), (Code, String)> {
        let done = self.staging.begin(sender, self.now, &self.live);
        done.map_err(|refusal| (refusal.code, refusal.text))
    }

    fn edit(&mut self, sender: Sender, edit: Edit) -> Result<(), (Code, String)> {
        let done = self.staging.edit(sender, edit, self.now, &self.live);
        done.map_err(|refusal| (refusal.code, refusal.text))
    }

    /// Commits, and plays it if it can be played.
    fn commit(&mut self, sender: Sender) -> Result<(), (Code, String)> {
        let wanted = self.staging.commit(sender, 10.0, &self.live);
        let played = wanted.and_then(|it| it.plan(&Setup::default()).map(|_| it.text));
        self.live = played.map_err(|refusal| (refusal.code, refusal.text))?;
        Ok(())
    }

    fn abort(&mut self, sender: Sender) -> Result<(), (Code, String)> {
        self.staging.abort(sender).map_err(|refusal| (refusal.code, refusal.text))
    }

    fn has(&self, id: &str) -> bool {
        self.live.contains(&format!("{id} = {{"))
    }

    /// Another control process in place of this one, as its memo lets it know.
    fn died(&mut self) -> Vec<Ended> {
        let memo = serde_json::to_vec(&self.staging.rows()).unwrap();
        let rows: Vec<Row> = serde_json::from_slice(&memo).unwrap();
        let (staging, ended) = Staging::after(&rows);
        self.staging = staging;
        ended
    }
}

#[test]
fn a_transaction_is_played_as_a_whole_when_it_is_committed() {
    let (mut bench, me) = (Bench::new(), udp(1));
    bench.begin(me).unwrap();
    bench.edit(me, create("high")).unwrap();
    bench.edit(me, connect("high", "out")).unwrap();
    assert_eq!(bench.live, LIVE);
    bench.commit(me).unwrap();
    let expected = LIVE
        .replace("[out]", "high = { type = \"osc\" }\n[out]")
        .replace("in = \"saw\"", "in = \"saw + high\"");
    assert_eq!(bench.live, expected);
    assert_eq!(bench.commit(me).unwrap_err().0, Code::Busy);
}

#[test]
fn a_commit_without_edits_wants_what_plays() {
    let mut bench = Bench::new();
    bench.begin(udp(1)).unwrap();
    let wanted = bench.staging.commit(udp(1), 250.0, LIVE).unwrap();
    assert_eq!(wanted, Wanted { text: LIVE.to_owned(), fade_ms: 250.0 });
}

#[test]
fn edits_without_a_begin_are_shared_by_all_senders_of_this_machine() {
    let mut bench = Bench::new();
    bench.edit(udp(1), create("a")).unwrap();
    bench.edit(udp(2), connect("a", "out")).unwrap();
    bench.edit(Sender::Tcp(3), set("a", 220.0)).unwrap();
    bench.commit(udp(4)).unwrap();
    assert!(bench.live.contains("a = { type = \"osc\", freq = 220 }"), "{}", bench.live);
    let far = Sender::Udp(0, "192.0.2.1:5000".parse().unwrap());
    assert_eq!(bench.edit(far, create("b")).unwrap_err().0, Code::Forbidden);
    bench.begin(far).unwrap();
    bench.edit(far, create("b")).unwrap();
    bench.commit(far).unwrap();
    let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    for near in [mapped, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        bench.edit(Sender::Udp(1, SocketAddr::new(near, 9)), set("b", 5.0)).unwrap();
    }
}

#[test]
fn who_has_begun_does_not_touch_what_is_shared() {
    let mut bench = Bench::new();
    bench.edit(udp(1), create("shared")).unwrap();
    bench.begin(udp(2)).unwrap();
    let (code, why) = bench.edit(udp(2), connect("shared", "out")).unwrap_err();
    assert_eq!(code, Code::UnknownModule, "{why}");
    bench.edit(udp(2), create("own")).unwrap();
    bench.commit(udp(2)).unwrap();
    assert!(bench.has("own") && !bench.has("shared"));
    bench.commit(udp(1)).unwrap();
    assert!(bench.has("own") && bench.has("shared"));
}

/// S34: what cannot be played is refused with its own code, and nothing of it is played.
#[test]
fn nothing_of_a_refused_commit_is_played() {
    let (mut bench, me) = (Bench::new(), udp(1));
    for (edits, code, expected) in [
        (
            vec![
                create("a"),
                Edit::Create { id: "v".into(), kind: "vca".into(), params: Vec::new() },
                connect("a", "v"),
                connect("v", "a.freq"),
            ],
            Code::Cycle,
            "-> ",
        ),
        (
            vec![
                Edit::Create {
                    id: "k".into(),
                    kind: "keys".into(),
                    params: vec![("voices".into(), Value::Number(3.0))],
                },
                Edit::Create {
                    id: "l".into(),
                    kind: "keys".into(),
                    params: vec![("voices".into(), Value::Number(2.0))],
                },
                connect("k.pitch", "saw.freq"),
                connect("l.pitch", "saw.freq"),
            ],
            Code::WrongType,
            "voices",
        ),
    ] {
        bench.begin(me).unwrap();
        for edit in edits {
            bench.edit(me, edit).unwrap();
        }
        let (got, why) = bench.commit(me).unwrap_err();
        assert_eq!(got, code, "{why}");
        assert!(why.contains(expected), "{why}");
        assert_eq!(bench.live, LIVE);
        // It is over: what comes behind it is not the rest of it.
        assert_eq!(bench.commit(me).unwrap_err().0, Code::Busy);
    }
}

/// S34: a refused edit is no part of what is committed, and the others are.
#[test]
fn an_unknown_type_is_refused_at_once_and_a_silent_patch_is_not() {
    let (mut bench, me) = (Bench::new(), udp(1));
    let wrong = Edit::Create { id: "a".into(), kind: "osk".into(), params: Vec::new() };
    let (code, why) = bench.edit(me, wrong).unwrap_err();
    assert_eq!(code, Code::UnknownType);
    assert!(why.contains("did you mean 'osc'?"), "{why}");
    // It has begun nothing.
    assert_eq!(bench.commit(me).unwrap_err().0, Code::Busy);
    bench.edit(me, create("a")).unwrap();
    bench.edit(me, Edit::Disconnect { src: "saw".into(), dst: "out".into() }).unwrap();
    bench.commit(me).unwrap();
    assert!(bench.has("a") && !bench.live.contains("in = "), "{}", bench.live);
}

/// S37: two clients, neither of whom knows of the other.
#[test]
fn the_second_of_two_commits_is_done_again_on_what_the_first_one_left() {
    let (mut bench, a, b) = (Bench::new(), udp(1), Sender::Tcp(1));
    bench.begin(a).unwrap();
    bench.begin(b).unwrap();
    bench.edit(a, create("from_a")).unwrap();
    bench.edit(a, set("saw", 55.0)).unwrap();
    bench.edit(b, create("from_b")).unwrap();
    bench.edit(b, connect("from_b", "out")).unwrap();
    bench.commit(a).unwrap();
    bench.commit(b).unwrap();
    assert!(bench.has("from_a") && bench.has("from_b"));
    assert!(bench.live.contains("freq = 55") && bench.live.contains("# low"), "{}", bench.live);
    assert!(bench.live.contains("saw + from_b"), "{}", bench.live);
}

/// S37: what the first has taken away the second one cannot have.
#[test]
fn an_edit_that_does_not_fit_any_more_refuses_the_whole_commit_by_name() {
    for (first, second, code) in [
        (delete("saw"), connect("saw", "out.left"), Code::UnknownModule),
        (create("same"), create("same"), Code::Forbidden),
    ] {
        let (mut bench, a, b) = (Bench::new(), udp(1), udp(2));
        bench.begin(a).unwrap();
        bench.begin(b).unwrap();
        bench.edit(a, first).unwrap();
        bench.edit(b, create("other")).unwrap();
        bench.edit(b, second.clone()).unwrap();
        bench.commit(a).unwrap();
        let before = bench.live.clone();
        let (got, why) = bench.commit(b).unwrap_err();
        assert_eq!(got, code, "{why}");
        let named = match &second {
            Edit::Connect { .. } => "'/patch/connect saw out.left' does not fit",
            _ => "'/patch/create same osc' does not fit",
        };
        assert!(why.contains(named), "{why}");
        assert_eq!(bench.live, before);
        assert_eq!(bench.commit(b).unwrap_err().0, Code::Busy);
    }
}

#[test]
fn a_module_that_is_only_pending_is_set_there() {
    let (mut bench, me, other) = (Bench::new(), udp(1), udp(2));
    assert!(bench.staging.set(me, set("a", 5.0), START).is_none());
    bench.edit(other, create("shared")).unwrap();
    bench.begin(me).unwrap();
    bench.edit(me, create("own")).unwrap();
    assert!(bench.staging.set(other, set("own", 5.0), START).is_none());
    bench.staging.set(me, set("own", 5.0), START).unwrap().unwrap();
    bench.staging.set(me, set("shared", 6.0), START).unwrap().unwrap();
    let far = bench.staging.set(me, set("own", 1e9), START).unwrap().unwrap_err();
    assert_eq!(far.code, Code::OutOfRange);
    bench.commit(me).unwrap();
    assert!(bench.live.contains("own = { type = \"osc\", freq = 5 }") && !bench.has("shared"));
    bench.commit(other).unwrap();
    assert!(bench.live.contains("shared = { type = \"osc\", freq = 6 }"), "{}", bench.live);
}

#[test]
fn beginning_twice_is_refused_and_aborting_forgets() {
    let (mut bench, me) = (Bench::new(), udp(1));
    assert_eq!(bench.abort(me).unwrap_err().0, Code::Busy);
    bench.edit(me, create("shared")).unwrap();
    bench.begin(me).unwrap();
    assert_eq!(bench.begin(me).unwrap_err().0, Code::Busy);
    bench.edit(me, create("own")).unwrap();
    bench.abort(me).unwrap();
    // Its own first, then what is shared.
    assert_eq!(bench.staging.pending().transactions, 1);
    bench.abort(me).unwrap();
    assert_eq!(bench.commit(me).unwrap_err().0, Code::Busy);
    assert_eq!(bench.live, LIVE);
}

#[test]
fn a_minute_of_silence_ends_a_transaction_and_tells_its_sender() {
    let (mut bench, me) = (Bench::new(), udp(1));
    bench.begin(me).unwrap();
    bench.now = SILENCE - Duration::from_millis(1);
    bench.edit(me, create("a")).unwrap();
    bench.now = SILENCE;
    assert_eq!(bench.staging.expire(bench.now), []);
    bench.now = 2 * SILENCE;
    let ended = bench.staging.expire(bench.now);
    assert_eq!((ended.len(), ended[0].sender, ended[0].address), (1, me, "/patch/begin"));
    assert_eq!(ended[0].refusal.code, Code::Timeout);
    assert!(ended[0].refusal.text.contains("1 pending edit was forgotten"), "{:?}", ended[0]);
    assert_eq!(bench.staging.expire(bench.now), []);
    // The rest of it is not taken for the whole, however often it is committed.
    for _ in 0..2 {
        assert_eq!(bench.edit(me, connect("saw", "out.left")).unwrap_err().0, Code::Timeout);
        assert_eq!(bench.commit(me).unwrap_err().0, Code::Timeout);
    }
    bench.begin(me).unwrap();
    bench.edit(me, create("b")).unwrap();
    bench.commit(me).unwrap();
    assert!(bench.has("b") && !bench.has("a"));
}

#[test]
fn a_minute_of_silence_ends_what_is_shared_and_tells_all_who_took_part() {
    let mut bench = Bench::new();
    bench.edit(udp(1), create("a")).unwrap();
    bench.edit(udp(2), create("b")).unwrap();
    bench.edit(udp(1), create("c")).unwrap();
    let ended = bench.staging.expire(SILENCE);
    let told: Vec<_> = ended.iter().map(|it| (it.sender, it.address)).collect();
    assert_eq!(told, [(udp(1), "/patch/commit"), (udp(2), "/patch/commit")]);
    // Each of them is refused until one commit; others know nothing of it and are not.
    assert_eq!(bench.edit(udp(1), create("d")).unwrap_err().0, Code::Timeout);
    assert_eq!(bench.commit(udp(1)).unwrap_err().0, Code::Timeout);
    bench.edit(udp(1), create("d")).unwrap();
    bench.edit(udp(3), create("e")).unwrap();
    bench.commit(udp(3)).unwrap();
    assert!(bench.has("d") && bench.has("e") && !bench.has("a"));
    bench.abort(udp(2)).unwrap();
    bench.edit(udp(2), create("f")).unwrap();
}

#[test]
fn a_connection_takes_its_transaction_along() {
    let (mut bench, tcp) = (Bench::new(), Sender::Tcp(7));
    bench.begin(tcp).unwrap();
    bench.edit(tcp, create("a")).unwrap();
    bench.staging.closed(tcp);
    assert_eq!(bench.staging.pending(), super::Pending::default());
    assert_eq!(bench.staging.rows(), []);
    assert_eq!(bench.staging.expire(2 * SILENCE), []);
}

#[test]
fn everything_that_is_kept_is_bounded_and_counted() {
    let mut bench = Bench::new();
    for port in 1..=TRANSACTIONS_MAX as u16 {
        bench.begin(udp(port)).unwrap();
    }
    assert_eq!(bench.begin(udp(1000)).unwrap_err().0, Code::Full);
    bench.edit(udp(1), create("a")).unwrap();
    let pending = bench.staging.pending();
    assert_eq!((pending.transactions, pending.edits), (TRANSACTIONS_MAX, 1));
    assert!(pending.bytes > TRANSACTIONS_MAX * LIVE.len());
    for value in 1..EDITS_MAX {
        bench.edit(udp(1), set("a", value as f32)).unwrap();
    }
    assert_eq!(bench.edit(udp(1), set("a", 1.0)).unwrap_err().0, Code::Full);
    bench.commit(udp(1)).unwrap();
    assert!(bench.live.contains(&format!("freq = {}", EDITS_MAX - 1)));
}

#[test]
fn no_text_grows_beyond_its_bound() {
    let (mut bench, me) = (Bench::new(), udp(1));
    let long = |id: &str| Edit::Create {
        id: id.into(),
        kind: "vca".into(),
        params: vec![("in".into(), Value::Text(vec!["saw"; 10_000].join(" + ")))],
    };
    for id in ["a", "b", "c"] {
        bench.edit(me, long(id)).unwrap();
    }
    let (code, why) = bench.edit(me, long("d")).unwrap_err();
    assert_eq!(code, Code::Full);
    assert!(why.contains(&TEXT_BYTES_MAX.to_string()), "{why}");
    bench.abort(me).unwrap();
    bench.live = format!("# {}\n{LIVE}", "x".repeat(TEXT_BYTES_MAX - 2 * LIVE.len()));
    let fits = BYTES_MAX / bench.live.len();
    for port in 0..fits as u16 {
        bench.begin(udp(port)).unwrap();
    }
    let (code, why) = bench.begin(udp(1000)).unwrap_err();
    assert_eq!(code, Code::Full);
    assert!(why.contains("more is pending than is kept"), "{why}");
    let mut bench = Bench::new();
    bench.live.push_str(&"#".repeat(TEXT_BYTES_MAX));
    let (code, why) = bench.begin(me).unwrap_err();
    assert_eq!(code, Code::Full);
    assert!(why.contains(&TEXT_BYTES_MAX.to_string()), "{why}");
}

/// S60: control dies with half a transaction; the other half is not played as a whole.
#[test]
fn what_a_dead_control_had_pending_is_not_half_played_by_its_successor() {
    let (mut bench, me, other) = (Bench::new(), udp(1), udp(2));
    bench.begin(me).unwrap();
    bench.edit(me, create("first_half")).unwrap();
    let ended = bench.died();
    assert_eq!((ended.len(), ended[0].sender, ended[0].address), (1, me, "/patch/begin"));
    assert_eq!(ended[0].refusal.code, Code::Timeout);
    // Its sender has not heard of it.
    assert_eq!(bench.edit(me, create("second_half")).unwrap_err().0, Code::Timeout);
    let lost = bench.staging.set(me, set("first_half", 5.0), START).unwrap().unwrap_err();
    assert_eq!(lost.code, Code::Timeout);
    assert_eq!(bench.commit(me).unwrap_err().0, Code::Timeout);
    assert_eq!(bench.live, LIVE);
    // Nobody else is concerned, in this life or the next; and it is told once.
    assert_eq!(bench.died(), []);
    bench.edit(other, create("other")).unwrap();
    bench.commit(other).unwrap();
    assert_eq!(bench.commit(me).unwrap_err().0, Code::Timeout);
    bench.begin(me).unwrap();
    bench.edit(me, create("whole")).unwrap();
    bench.commit(me).unwrap();
    assert!(bench.has("whole") && !bench.has("second_half"));
}

/// S60: of who cannot be known again, the next commit is refused.
#[test]
fn what_was_shared_or_came_over_tcp_is_refused_to_whoever_commits_next() {
    for tcp in [false, true] {
        let (mut bench, me, next) = (Bench::new(), udp(1), udp(2));
        if tcp {
            bench.begin(Sender::Tcp(1)).unwrap();
            bench.edit(Sender::Tcp(1), create("first_half")).unwrap();
        } else {
            bench.edit(me, create("first_half")).unwrap();
        }
        assert_eq!(bench.died(), []);
        for sender in [me, next, Sender::Tcp(1)] {
            assert_eq!(bench.edit(sender, create("second_half")).unwrap_err().0, Code::Timeout);
        }
        assert_eq!(bench.died(), []);
        // Who begins is not concerned.
        bench.begin(me).unwrap();
        bench.edit(me, create("own")).unwrap();
        bench.commit(me).unwrap();
        let (code, why) = bench.commit(next).unwrap_err();
        assert_eq!(code, Code::Timeout);
        assert!(why.contains("1 pending edit was forgotten"), "{why}");
        bench.edit(next, create("whole")).unwrap();
        bench.commit(next).unwrap();
        assert!(bench.has("own") && bench.has("whole") && !bench.has("second_half"));
    }
}

#[test]
fn an_abort_is_enough_to_start_over_after_a_death() {
    let (mut bench, me) = (Bench::new(), udp(1));
    bench.begin(me).unwrap();
    bench.edit(udp(2), create("a")).unwrap();
    bench.died();
    bench.abort(me).unwrap();
    assert_eq!(bench.edit(me, create("b")).unwrap_err().0, Code::Timeout);
    bench.abort(me).unwrap();
    bench.edit(me, create("b")).unwrap();
    bench.commit(me).unwrap();
    assert!(bench.has("b") && !bench.has("a"));
}

#[test]
fn rows_are_small_and_few_however_many_senders_were_lost() {
    let mut bench = Bench::new();
    for port in 1..1000 {
        bench.begin(udp(port)).unwrap();
        bench.edit(udp(port), create("a")).unwrap();
        bench.now += 2 * SILENCE;
        assert_eq!(bench.staging.expire(bench.now).len(), 1);
    }
    let rows = bench.staging.rows();
    assert_eq!(rows.len(), 64);
    assert!(serde_json::to_vec(&rows).unwrap().len() < 8 * 1024);
    let newest = Owner::of(udp(999));
    let row = Row { owner: newest, edits: 1, ended: Some(Why::Silent), once: false };
    assert_eq!(rows.last(), Some(&row));
}
