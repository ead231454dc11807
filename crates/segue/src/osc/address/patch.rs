//! `/patch/…`: what is asked of the patch itself.

use rosc::OscType;
use segue_rack::quantity::Unit;
use segue_rack::{Edit, Value};

use super::super::refusal::{Code, Refusal};
use super::{Ask, argument, unknown};

/// How long old sound goes over into new where nothing is said, ms.
pub(crate) const FADE_MS: f32 = 10.0;
/// The longest it may take, ms.
const FADE_MS_MAX: f32 = 10_000.0;
/// Moments at which there is something to wait for only with a transport.
const MUSICAL: [&str; 2] = ["beat", "bar"];

/// `/patch/…`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PatchAsk {
    /// A transaction begins.
    Begin,
    /// One edit of the pending patch.
    Edit(Edit),
    /// The pending patch is to be played, old sound going over into new in so many ms.
    Commit {
        /// 0 to 10,000.
        fade_ms: f32,
    },
    /// The pending edits are to be forgotten.
    Abort,
    /// This whole text is to be played.
    Apply {
        /// A patch file.
        text: String,
        /// 0 to 10,000.
        fade_ms: f32,
    },
    /// The text of what plays.
    Get,
    /// What played before.
    Undo,
    /// What played before it was undone.
    Redo,
    /// To be written into the show folder, under a name or that of the patch.
    Save(Option<String>),
    /// To be read from the show folder and played.
    Load(String),
}

/// What `/patch/WHAT` asks.
pub(super) fn patch(what: &str, args: &[OscType]) -> Result<Ask, Refusal> {
    let nothing = |ask: PatchAsk| argument::none(args).map(|()| ask);
    let ask = match (what, args) {
        ("begin", _) => nothing(PatchAsk::Begin)?,
        ("abort", _) => nothing(PatchAsk::Abort)?,
        ("get", _) => nothing(PatchAsk::Get)?,
        ("undo", _) => nothing(PatchAsk::Undo)?,
        ("redo", _) => nothing(PatchAsk::Redo)?,
        ("commit", _) => PatchAsk::Commit { fade_ms: fade("/patch/commit", args)? },
        ("apply", [text, rest @ ..]) => {
            let text = word(text, "/patch/apply takes the text of a patch, ms and \"now\"")?;
            PatchAsk::Apply { text, fade_ms: fade("/patch/apply", rest)? }
        }
        ("apply", []) => return Err(wrong("/patch/apply takes the text of a patch")),
        ("save", []) => PatchAsk::Save(None),
        ("save", [name]) => PatchAsk::Save(Some(word(name, "/patch/save takes a name")?)),
        ("save", _) => return Err(wrong("/patch/save takes a name, or nothing")),
        ("load", [name]) => PatchAsk::Load(word(name, "/patch/load takes a name")?),
        ("load", _) => return Err(wrong("/patch/load takes a name")),
        ("create" | "delete" | "connect" | "disconnect", _) => PatchAsk::Edit(edit(what, args)?),
        _ => return Err(unknown(&format!("/patch/{what}"))),
    };
    Ok(Ask::Patch(ask))
}

/// What `/mod/ID/PARAM value [ms]` asks of a module that is pending and not playing yet: there is
/// no time to be taken. None for a question, and for every other address.
pub(crate) fn pending_set(addr: &str, args: &[OscType]) -> Option<Result<Edit, Refusal>> {
    let (id, param) = addr.strip_prefix("/mod/")?.split_once('/')?;
    let value = match args {
        [] => return None,
        [given] | [given, _] => value(given, param),
        _ => Err(wrong("/mod takes a value and a time in ms")),
    };
    Some(value.map(|value| Edit::Set { id: id.to_owned(), param: param.to_owned(), value }))
}

fn edit(what: &str, args: &[OscType]) -> Result<Edit, Refusal> {
    const CREATE: &str = "/patch/create takes an id, a type, and then names of parameters, each \
                          with its value";
    const DELETE: &str = "/patch/delete takes an id";
    const CONNECT: &str = "/patch/connect takes src and dst as ID or ID.PORT, and an amount";
    const DISCONNECT: &str = "/patch/disconnect takes src and dst as ID or ID.PORT";
    match (what, args) {
        ("create", [id, kind, params @ ..]) if params.len() % 2 == 0 => {
            let param = |pair: &[OscType]| {
                let name = word(&pair[0], CREATE)?;
                let value = value(&pair[1], &name)?;
                Ok((name, value))
            };
            let params = params.chunks_exact(2).map(param).collect::<Result<_, Refusal>>()?;
            Ok(Edit::Create { id: word(id, CREATE)?, kind: word(kind, CREATE)?, params })
        }
        ("create", _) => Err(wrong(CREATE)),
        ("delete", [id]) => Ok(Edit::Delete { id: word(id, DELETE)? }),
        ("delete", _) => Err(wrong(DELETE)),
        ("connect", [src, dst, rest @ ..]) if rest.len() < 2 => {
            let (src, dst) = (word(src, CONNECT)?, word(dst, CONNECT)?);
            let amount = rest.first().map(|amount| value(amount, "an amount")).transpose()?;
            Ok(Edit::Connect { src, dst, amount })
        }
        ("connect", _) => Err(wrong(CONNECT)),
        (_, [src, dst]) => {
            Ok(Edit::Disconnect { src: word(src, DISCONNECT)?, dst: word(dst, DISCONNECT)? })
        }
        _ => Err(wrong(DISCONNECT)),
    }
}

/// `[ms [, when]]`.
fn fade(address: &str, args: &[OscType]) -> Result<f32, Refusal> {
    let (ms, when) = match args {
        [] => return Ok(FADE_MS),
        [ms] => (ms, None),
        [ms, when] => (ms, Some(when)),
        _ => return Err(wrong(&format!("{address} takes ms and \"now\""))),
    };
    match when {
        None => {}
        Some(OscType::String(word)) if word == "now" => {}
        Some(OscType::String(word)) if MUSICAL.contains(&word.as_str()) => {
            let text = format!("there is no transport yet, so no {word} to wait for; say \"now\"");
            return Err(Refusal::new(Code::WrongType, text));
        }
        Some(_) => return Err(wrong(&format!("{address} takes ms and \"now\""))),
    }
    let ms = argument::number(ms, Unit::Milliseconds, "a fade")?;
    if !(0.0..=FADE_MS_MAX).contains(&ms) {
        let text = format!("a fade takes 0 to {FADE_MS_MAX} ms");
        return Err(Refusal::new(Code::OutOfRange, text));
    }
    Ok(ms)
}

fn value(argument: &OscType, what: &str) -> Result<Value, Refusal> {
    match argument {
        OscType::String(text) => Ok(Value::Text(text.clone())),
        number => argument::number(number, Unit::Number, what).map(Value::Number),
    }
}

fn word(argument: &OscType, expected: &str) -> Result<String, Refusal> {
    match argument {
        OscType::String(word) => Ok(word.clone()),
        _ => Err(wrong(expected)),
    }
}

fn wrong(expected: &str) -> Refusal {
    Refusal::new(Code::WrongType, expected)
}

#[cfg(test)]
mod tests {
    use rosc::OscType;
    use segue_rack::{Edit, Value};

    use super::{Ask, Code, FADE_MS, PatchAsk, patch, pending_set};

    fn text(text: &str) -> OscType {
        OscType::String(text.to_owned())
    }

    fn asked(what: &str, args: &[OscType]) -> Result<PatchAsk, (Code, String)> {
        match patch(what, args) {
            Ok(Ask::Patch(ask)) => Ok(ask),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err((refusal.code, refusal.text)),
        }
    }

    #[test]
    fn edits_are_read_with_values_of_any_kind() {
        let args =
            [text("b"), text("osc"), text("freq"), text("A3"), text("width"), OscType::Int(1)];
        let params = vec![
            ("freq".to_owned(), Value::Text("A3".to_owned())),
            ("width".to_owned(), Value::Number(1.0)),
        ];
        let create = Edit::Create { id: "b".into(), kind: "osc".into(), params };
        assert_eq!(asked("create", &args), Ok(PatchAsk::Edit(create)));
        let delete = Edit::Delete { id: "b".into() };
        assert_eq!(asked("delete", &[text("b")]), Ok(PatchAsk::Edit(delete)));
        for (args, amount) in [
            (vec![], None),
            (vec![OscType::Double(0.5)], Some(Value::Number(0.5))),
            (vec![text("2.5oct")], Some(Value::Text("2.5oct".to_owned()))),
        ] {
            let args = [vec![text("b"), text("out.left")], args].concat();
            let connect = Edit::Connect { src: "b".into(), dst: "out.left".into(), amount };
            assert_eq!(asked("connect", &args), Ok(PatchAsk::Edit(connect)));
        }
        let cut = Edit::Disconnect { src: "b".into(), dst: "out".into() };
        assert_eq!(asked("disconnect", &[text("b"), text("out")]), Ok(PatchAsk::Edit(cut)));
    }

    #[test]
    fn a_commit_fades_for_ten_ms_or_as_asked() {
        let fade = |args: &[OscType]| match asked("commit", args) {
            Ok(PatchAsk::Commit { fade_ms }) => fade_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(fade(&[]), FADE_MS);
        assert_eq!(fade(&[OscType::Int(0)]), 0.0);
        assert_eq!(fade(&[text("2s"), text("now")]), 2000.0);
        let apply = PatchAsk::Apply { text: "segue = 1".to_owned(), fade_ms: 250.0 };
        assert_eq!(asked("apply", &[text("segue = 1"), OscType::Float(250.0)]), Ok(apply));
    }

    #[test]
    fn a_beat_is_not_waited_for_without_a_transport() {
        for when in ["beat", "bar"] {
            let (code, why) = asked("commit", &[OscType::Int(10), text(when)]).unwrap_err();
            assert_eq!(code, Code::WrongType);
            assert!(why.contains("no transport yet") && why.contains(when), "{why}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_was_expected() {
        let table = [
            ("create", vec![text("b")], Code::WrongType, "an id, a type"),
            ("create", vec![text("b"), text("osc"), text("freq")], Code::WrongType, "its value"),
            ("create", vec![text("b"), OscType::Int(1)], Code::WrongType, "an id, a type"),
            (
                "create",
                vec![text("b"), text("osc"), text("freq"), OscType::Nil],
                Code::WrongType,
                "freq takes a number",
            ),
            (
                "create",
                vec![text("b"), text("osc"), text("freq"), OscType::Float(f32::NAN)],
                Code::NotFinite,
                "finite",
            ),
            ("delete", vec![], Code::WrongType, "takes an id"),
            ("connect", vec![text("b")], Code::WrongType, "src and dst"),
            ("connect", vec![text("b"), text("c"), text("1"), text("2")], Code::WrongType, "src"),
            ("disconnect", vec![text("b")], Code::WrongType, "src and dst"),
            ("begin", vec![OscType::Int(1)], Code::WrongType, "no arguments"),
            ("commit", vec![OscType::Int(-1)], Code::OutOfRange, "0 to 10000 ms"),
            ("commit", vec![OscType::Int(10_001)], Code::OutOfRange, "0 to 10000 ms"),
            ("commit", vec![text("5Hz")], Code::WrongType, "250ms"),
            ("commit", vec![OscType::Int(1), text("soon")], Code::WrongType, "\"now\""),
            ("commit", vec![OscType::Int(1), text("now"), text("now")], Code::WrongType, "\"now\""),
            ("apply", vec![], Code::WrongType, "text of a patch"),
            ("apply", vec![OscType::Int(1)], Code::WrongType, "text of a patch"),
            ("load", vec![], Code::WrongType, "takes a name"),
            ("save", vec![OscType::Int(1)], Code::WrongType, "takes a name"),
            ("comit", vec![], Code::UnknownAddress, "did you mean '/patch/commit'?"),
        ];
        for (what, args, code, expected) in table {
            let (got, why) = asked(what, &args).expect_err(what);
            assert_eq!(got, code, "{what} {args:?}: {why}");
            assert!(why.contains(expected), "{what} {args:?}: {why}");
        }
    }

    #[test]
    fn the_rest_is_asked_by_name() {
        for (what, ask) in [
            ("begin", PatchAsk::Begin),
            ("abort", PatchAsk::Abort),
            ("get", PatchAsk::Get),
            ("undo", PatchAsk::Undo),
            ("redo", PatchAsk::Redo),
            ("save", PatchAsk::Save(None)),
        ] {
            assert_eq!(asked(what, &[]), Ok(ask));
        }
        assert_eq!(asked("save", &[text("x")]), Ok(PatchAsk::Save(Some("x".to_owned()))));
        assert_eq!(asked("load", &[text("x")]), Ok(PatchAsk::Load("x".to_owned())));
    }

    #[test]
    fn a_set_of_a_pending_module_is_an_edit() {
        let set = Edit::Set { id: "b".into(), param: "freq".into(), value: Value::Number(5.0) };
        let args = [OscType::Int(5), OscType::Int(100)];
        assert_eq!(pending_set("/mod/b/freq", &args), Some(Ok(set)));
        assert_eq!(pending_set("/mod/b/freq", &[]), None);
        assert_eq!(pending_set("/gate/b", &args), None);
        let wrong = pending_set("/mod/b/freq", &[OscType::Nil]).unwrap().unwrap_err();
        assert_eq!(wrong.code, Code::WrongType);
    }
}
