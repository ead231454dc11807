//! Modules that come and go, and the text around them.

use segue_rack::{Draft, Edit, EditError, Patch, Plan, Setup, Value};

use crate::{INSTRUMENTS, PATCH, changed, draft, number, refused, text};

#[test]
fn a_text_that_is_not_edited_stays_to_the_byte() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../patches");
    let files = std::fs::read_dir(shipped).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    let mut texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 2);
    texts.extend([PATCH.to_string(), INSTRUMENTS.to_string()]);
    for text in texts {
        assert_eq!(draft(&text).text(), text);
    }
}

#[test]
fn a_text_with_mistakes_is_no_draft() {
    let mistakes = Draft::parse("segue = 1\nx = { type = \"osk\" }\n").unwrap_err();
    let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code).collect();
    assert_eq!(codes, ["unknown_type", "no_out"]);
    let told = EditError::of_patch(&mistakes);
    assert_eq!(told.code, "unknown_type");
    assert!(told.text.starts_with("line 2, column 14: no module type 'osk'"), "{told}");
    assert!(told.text.ends_with("(and 1 more)"), "{told}");
}

#[test]
fn a_module_is_created_in_one_line_above_the_first_table() {
    let params = [("freq".to_string(), text("1.2 kHz")), ("width".to_string(), number(0.3))];
    let mut draft = draft(PATCH);
    draft.create("high", "osc", &params).unwrap();
    let line = "high = { type = \"osc\", freq = \"1.2kHz\", width = 0.3 }\n";
    let expected = PATCH.replace("freq = 0.4 }\n", &format!("freq = 0.4 }}\n{line}"));
    assert_eq!(draft.text(), expected);
    assert!(draft.has("high"));
}

#[test]
fn older_names_become_those_of_today() {
    let params = [("frequency".to_string(), number(440.0))];
    let line = changed(PATCH, |it| it.create("tone", "simple_sine", &params));
    assert_eq!(line, ["tone = { type = \"osc\", freq = 440 }"]);
    let params = [("resonance".to_string(), number(2.0)), ("in".to_string(), text("saw"))];
    let line = changed(PATCH, |it| it.create("flt", "biquad_filter", &params));
    assert_eq!(line, ["flt = { type = \"biquad\", q = 2, in = \"saw\" }"]);
    // A name that stands in the file already is left as it is.
    let line = changed(PATCH, |it| it.set("filter", "cutoff", &number(200.0)));
    assert_eq!(line, ["frequency = \"200 + env * 2.5oct\"   # dark at rest"]);
}

#[test]
fn what_cannot_be_created_is_refused_by_name() {
    let table = [
        ("high", "osk", "", "unknown_type", "did you mean 'osc'?"),
        ("high", "osc", "frqe", "unknown_param", "did you mean 'freq'?"),
        ("High", "osc", "", "wrong_type", "small letter"),
        ("saw", "osc", "", "forbidden", "there is a 'saw' already"),
        ("out", "osc", "", "forbidden", "already, in which every patch ends"),
        ("track", "osc", "", "forbidden", "'track'"),
        ("type", "osc", "", "forbidden", "'type'"),
        ("high", "out", "", "forbidden", "'out'"),
    ];
    for (id, kind, param, code, expected) in table {
        let params: Vec<_> = Some((param.to_string(), number(1.0)))
            .filter(|it| !it.0.is_empty())
            .into_iter()
            .collect();
        let (got, why) = refused(PATCH, |it| it.create(id, kind, &params));
        assert_eq!(got, code, "{id} {kind}: {why}");
        assert!(why.contains(expected), "{id} {kind}: {why}");
    }
    let of = |name: &str, value: Value| {
        refused(PATCH, |it| it.create("x", "svf", &[(name.to_string(), value)])).0
    };
    assert_eq!(of("cutoff", number(1e9)), "out_of_range");
    assert_eq!(of("cutoff", number(f32::NAN)), "not_finite");
    assert_eq!(of("cutoff", text("3 metres")), "wrong_type");
    assert_eq!(of("in", text("swa")), "unknown_module");
    assert_eq!(of("in", text("saw.pitch")), "unknown_param");
    let twice = [("q".to_string(), number(1.0)), ("resonance".to_string(), number(1.0))];
    assert_eq!(refused(PATCH, |it| it.create("x", "svf", &twice)).0, "wrong_type");
}

#[test]
fn no_more_modules_are_created_than_a_patch_may_have() {
    let mut draft = draft("segue = 1\n[out]\n");
    for number in 1..1024 {
        draft.create(&format!("m{number}"), "vca", &[]).unwrap();
    }
    let error = draft.create("one_more", "vca", &[]).unwrap_err();
    assert_eq!(error.code, "full");
    Patch::parse(&draft.text()).unwrap();
}

#[test]
fn a_deleted_module_takes_its_cables_and_its_comment_along() {
    let mut draft = draft(PATCH);
    draft.delete("saw").unwrap();
    let expected = PATCH
        .replace("# The low voice.\n", "")
        .replace("saw  = { type = \"osc\", shape = \"saw\", freq = 110 }   # bright\n", "")
        .replace("in        = \"saw * 0.5\"\n", "")
        .replace("filter - saw * 0.1", "filter");
    assert_eq!(draft.text(), expected);
    Patch::parse(&draft.text()).unwrap();
    assert!(!draft.has("saw"));
}

#[test]
fn what_stands_above_an_empty_line_is_no_comment_of_the_module_below() {
    let osc = "{ type = \"osc\" }";
    let table = "[a]\ntype = \"osc\"\n";
    for (before, after) in [
        (format!("# kick\na = {osc}\nb = {osc}\n[out]\n"), format!("b = {osc}\n[out]\n")),
        (format!("a = {osc}\n\n[out]\n"), "\n[out]\n".to_string()),
        (format!("# kick\n{table}# End.\n[out]\n"), "# End.\n[out]\n".to_string()),
    ] {
        let mut draft = draft(&format!("segue = 1\n# Drums.\n\n{before}"));
        draft.delete("a").unwrap();
        assert_eq!(draft.text(), format!("segue = 1\n# Drums.\n\n{after}"));
    }
    let mut draft = draft(&format!("segue = 1\n[out]\n# Drums.\n\n{table}"));
    draft.delete("a").unwrap();
    assert_eq!(draft.text(), "segue = 1\n[out]\n# Drums.\n\n");
}

#[test]
fn out_and_parts_of_instruments_are_not_deleted() {
    assert_eq!(refused(PATCH, |it| it.delete("out")).0, "forbidden");
    let (code, why) = refused(INSTRUMENTS, |it| it.delete("lead.filter"));
    assert_eq!(code, "forbidden");
    assert!(why.contains("its params are: pitch, cutoff, q, in"), "{why}");
    let (code, why) = refused(PATCH, |it| it.delete("fliter"));
    assert_eq!(
        (code, why.as_str()),
        ("unknown_module", "no module 'fliter'; did you mean 'filter'?")
    );
    assert_eq!(refused(INSTRUMENTS, |it| it.delete("lead.nothing")).0, "unknown_module");
}

#[test]
fn a_deleted_instrument_takes_the_cables_from_its_parts_along() {
    let lines = changed(INSTRUMENTS, |it| it.delete("lead"));
    assert_eq!(lines, ["out   = { in = \"bass\" }"]);
    // What the define says inside is about its own parts.
    let mut draft = draft(&INSTRUMENTS.replace("hands", "one"));
    draft.delete("one").unwrap();
    assert!(draft.text().contains("in = \"one + two\""));
    assert!(
        draft.text().contains("lead  = { type = \"pluck\", pitch = 0.01 }"),
        "{}",
        draft.text()
    );
}

#[test]
fn modules_of_dotted_keys_and_of_tables_are_edited_where_they_stand() {
    let dotted = "segue = 1\na.type = \"osc\"\na.freq = 5 # slow\n[out]\nin = \"a\"\n";
    assert_eq!(changed(dotted, |it| it.set("a", "freq", &number(6.0))), ["a.freq = 6 # slow"]);
    let line = changed(dotted, |it| it.set("a", "width", &number(0.25)));
    assert_eq!(line, ["a.width = 0.25"]);
    let mut bare = draft("segue = 1\n[out]\n");
    bare.create("a", "osc", &[]).unwrap();
    bare.connect("a", "out", Some(&number(0.1))).unwrap();
    let expected = "segue = 1\na = { type = \"osc\" }\n[out]\nin = \"a * 0.1\"\n";
    assert_eq!(bare.text(), expected);
    bare.delete("a").unwrap();
    assert_eq!(bare.text(), "segue = 1\n[out]\n");
}

/// S34: a patch that nobody hears is fine; a cycle is found when it is compiled.
#[test]
fn silent_drafts_compile_and_cycles_do_not() {
    let mut silent = draft("segue = 1\n[out]\n");
    silent.create("a", "osc", &[]).unwrap();
    let compiled = |draft: &Draft| {
        Patch::parse(&draft.text()).and_then(|patch| Plan::compile(&patch, &Setup::default()))
    };
    assert_eq!(compiled(&silent).unwrap().modules().len(), 2);
    silent.create("v", "vca", &[("in".to_string(), text("a"))]).unwrap();
    silent.connect("v", "a.freq", Some(&text("1oct"))).unwrap();
    let told = EditError::of_patch(&compiled(&silent).unwrap_err());
    assert_eq!(told.code, "cycle");
    assert!(told.text.contains("a -> v -> a") || told.text.contains("v -> a -> v"), "{told}");
}

#[test]
fn edits_are_values_that_can_be_done_again() {
    let edits = [
        Edit::Create {
            id: "b".into(),
            kind: "osc".into(),
            params: vec![("freq".into(), number(5.0))],
        },
        Edit::Connect { src: "b".into(), dst: "filter.q".into(), amount: Some(number(2.0)) },
        Edit::Set { id: "filter".into(), param: "q".into(), value: number(3.0) },
        Edit::Disconnect { src: "saw".into(), dst: "out".into() },
        Edit::Delete { id: "slow".into() },
    ];
    let done = |text: &str| {
        let mut draft = draft(text);
        let before = draft.text().len();
        for edit in &edits {
            draft.apply(edit).unwrap();
        }
        let bytes: usize = edits.iter().map(Edit::bytes).sum();
        assert!(draft.text().len() <= before + bytes);
        draft.text()
    };
    assert_eq!(done(PATCH), done(PATCH));
    assert!(done(PATCH).contains("q = \"3 + b * 2\""), "{}", done(PATCH));
}
