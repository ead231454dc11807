//! Cables and constants.

use segue_rack::{Draft, Patch, Value, catalog};

use crate::{INSTRUMENTS, PATCH, changed, draft, number, refused, text};

#[test]
fn a_cable_is_a_term_behind_those_that_stand_there() {
    let connect = |src: &str, dst: &str, amount: Option<Value>| {
        changed(PATCH, |it| it.connect(src, dst, amount.as_ref())).concat()
    };
    assert_eq!(connect("slow", "out", None), "in = \"filter - saw * 0.1 + slow\"");
    assert_eq!(
        connect("slow", "filter", Some(number(-0.5))),
        "in        = \"saw * 0.5 + slow * -0.5\""
    );
    let bent = "frequency = \"180 + env * 2.5oct + slow.out * 1oct\"   # dark at rest";
    assert_eq!(connect("slow.out", "filter.cutoff", Some(text("1 oct"))), bent);
    let left = connect("slow", "out.left", Some(text("-6dB")));
    assert_eq!(left, "left = \"slow * -6dB\"");
    let late = connect("delayed(filter.band)", "filter", Some(number(0.4)));
    assert_eq!(late, "in        = \"saw * 0.5 + delayed(filter.band) * 0.4\"");
}

#[test]
fn connecting_again_changes_the_amount() {
    let again = |src: &str, dst: &str, amount: Option<Value>| {
        changed(PATCH, |it| it.connect(src, dst, amount.as_ref())).concat()
    };
    assert_eq!(again("saw", "filter", Some(number(0.25))), "in        = \"saw * 0.25\"");
    assert_eq!(again("saw.out", "out", Some(number(3.0))), "in = \"filter + saw * 3\"");
    assert_eq!(again("saw", "filter.in", None), "in        = \"saw\"");
    let bent = "frequency = \"180 + env * 1oct\"   # dark at rest";
    assert_eq!(again("env", "filter.frequency", Some(text("1oct"))), bent);
}

#[test]
fn what_was_connected_twice_is_one_cable_after_it_is_connected_again() {
    let twice = PATCH.replace("saw * 0.5", "saw * 0.5 + env - saw.out * 2");
    let line = changed(&twice, |it| it.connect("saw", "filter", Some(&number(3.0))));
    assert_eq!(line, ["in        = \"saw * 3 + env\""]);
}

#[test]
fn what_comes_late_is_a_cable_of_its_own() {
    let late = PATCH.replace("saw * 0.5", "saw + delayed(saw) * 0.5");
    let line = changed(&late, |it| it.connect("saw", "filter", Some(&number(3.0))));
    assert_eq!(line, ["in        = \"saw * 3 + delayed(saw) * 0.5\""]);
    let line = changed(&late, |it| it.connect("delayed(saw)", "filter", None));
    assert_eq!(line, ["in        = \"saw + delayed(saw)\""]);
    let line = changed(&late, |it| it.disconnect("delayed(saw)", "filter"));
    assert_eq!(line, ["in        = \"saw\""]);
    assert_eq!(changed(&late, |it| it.disconnect("saw", "filter")), [""; 0]);
}

/// S33: laying and taking out a cable changes no constant, neither written nor a default.
#[test]
fn the_constant_of_a_parameter_stays_whatever_its_cables_do() {
    let mut draft = draft(PATCH);
    draft.connect("slow", "saw.width", Some(&number(0.2))).unwrap();
    assert!(draft.text().contains("width = \"0.5 + slow * 0.2\" }   # bright"), "{}", draft.text());
    draft.disconnect("slow", "saw.width").unwrap();
    assert!(draft.text().contains("freq = 110, width = 0.5 }   # bright"), "{}", draft.text());
    draft.disconnect("env", "filter.cutoff").unwrap();
    assert!(draft.text().contains("frequency = 180   # dark at rest"), "{}", draft.text());
    // An interval alone leaves the default where it is.
    draft.connect("env", "slow.spread", Some(&text("1oct"))).unwrap();
    draft.connect("env", "slow.freq", Some(&text("1oct"))).unwrap();
    assert!(
        draft.text().contains("freq = \"0.4 + env * 1oct\", spread = \"0 + env * 1oct\"")
            || draft.text().contains("freq = \"0.4 + env * 1oct\", spread = \"env * 1oct\""),
        "{}",
        draft.text()
    );
    Patch::parse(&draft.text()).unwrap();
}

#[test]
fn a_constant_without_cables_lies_in_its_range() {
    let far = PATCH.replace("180 + env * 2.5oct", "0 + env * 900");
    let line = changed(&far, |it| it.disconnect("env", "filter.cutoff"));
    let lowest = catalog::spec("svf").unwrap();
    let lowest = lowest.params[usize::from(lowest.param("cutoff").unwrap())].min;
    assert_eq!(line, [format!("frequency = {lowest}   # dark at rest")]);
    let long = "segue = 1\nslow = { type = \"osc\" }\n\
        echo = { type = \"delay\", max = 100, time = \"300 + slow * 5\" }\n[out]\n";
    let line = changed(long, |it| it.delete("slow"));
    assert_eq!(line, ["echo = { type = \"delay\", max = 100, time = 100 }"]);
}

#[test]
fn a_cable_that_is_taken_out_leaves_the_others() {
    let line = changed(PATCH, |it| it.disconnect("filter", "out"));
    assert_eq!(line, ["in = \"-saw * 0.1\""]);
    // No line is new where a port says nothing any more.
    assert_eq!(changed(PATCH, |it| it.disconnect("saw", "filter")), [""; 0]);
    let (code, why) = refused(PATCH, |it| it.disconnect("slow", "out"));
    assert_eq!(code, "unknown_param");
    assert!(why.contains("no cable from 'slow' to 'out.in'"), "{why}");
    assert_eq!(refused(PATCH, |it| it.disconnect("saw", "out.lefd")).0, "unknown_param");
    assert_eq!(refused(PATCH, |it| it.disconnect("swa", "out")).0, "unknown_module");
}

#[test]
fn what_cannot_be_connected_is_refused_by_name() {
    let table = [
        ("swa", "out", None, "unknown_module", "did you mean 'saw'?"),
        ("saw.pitch", "out", None, "unknown_param", "no outlet 'pitch'"),
        ("saw", "fliter", None, "unknown_module", "did you mean 'filter'?"),
        ("saw", "filter.cutof", None, "unknown_param", "did you mean 'cutoff'?"),
        ("saw", "slow", None, "unknown_param", "has no 'in'"),
        ("saw", "slow.shape", None, "wrong_type", "takes no cable"),
        ("saw", "slow.voices", None, "wrong_type", "takes no cable"),
        ("saw + env", "out", None, "wrong_type", "no source"),
        ("saw * 2", "out", None, "wrong_type", "no source"),
        ("-saw", "out", None, "wrong_type", "no source"),
        ("", "out", None, "wrong_type", "no source"),
        ("saw", "", None, "unknown_module", "no module ''"),
        ("saw", "out.in.more", None, "unknown_module", "no module 'out.in'"),
        ("out", "filter", None, "unknown_param", "no outlet"),
        ("saw", "out", Some(text("2oct")), "wrong_type", "does not fit 'in'"),
        ("saw", "out", Some(text("0.5 + env")), "wrong_type", "an amount takes"),
        ("saw", "out", Some(number(f32::INFINITY)), "not_finite", "finite"),
    ];
    for (src, dst, amount, code, expected) in table {
        let (got, why) = refused(PATCH, |it| it.connect(src, dst, amount.as_ref()));
        assert_eq!(got, code, "{src} to {dst}: {why}");
        assert!(why.contains(expected), "{src} to {dst}: {why}");
    }
}

#[test]
fn what_is_set_replaces_the_constant_and_keeps_the_cables() {
    let set = |id: &str, param: &str, value: Value| {
        changed(PATCH, |it| it.set(id, param, &value)).concat()
    };
    let cutoff =
        |constant: &str| format!("frequency = \"{constant} + env * 2.5oct\"   # dark at rest");
    assert_eq!(set("filter", "cutoff", number(800.0)), cutoff("800"));
    assert_eq!(set("filter", "cutoff", text("1.2 kHz")), cutoff("1.2kHz"));
    assert_eq!(set("env", "attack", number(7.5)), "attack = 7.5     # soft");
    let saw = "saw  = { type = \"osc\", shape = \"square\", freq = 110 }   # bright";
    assert_eq!(set("saw", "shape", text("square")), saw);
    let saw = "saw  = { type = \"osc\", shape = \"saw\", freq = \"A3\" }   # bright";
    assert_eq!(set("saw", "frequency", text("A3")), saw);
    let saw = "saw  = { type = \"osc\", shape = \"saw\", freq = 110, voices = 4 }   # bright";
    assert_eq!(set("saw", "voices", number(4.0)), saw);
}

#[test]
fn what_cannot_be_set_is_refused_by_name() {
    let table = [
        ("filtr", "cutoff", number(1.0), "unknown_module", "did you mean 'filter'?"),
        ("filter", "cutof", number(1.0), "unknown_param", "did you mean 'cutoff'?"),
        ("filter", "in", number(1.0), "wrong_type", "is an inlet"),
        ("filter", "cutoff", number(1e9), "out_of_range", "'cutoff' cannot be"),
        ("filter", "cutoff", text("3st"), "wrong_type", "440Hz"),
        ("filter", "cutoff", text("env"), "wrong_type", "440Hz"),
        ("filter", "cutoff", text("env * 2oct"), "wrong_type", "440Hz"),
        ("filter", "cutoff", number(f32::NAN), "not_finite", "finite"),
        ("saw", "shape", text("swa"), "out_of_range", "did you mean 'saw'?"),
        ("saw", "voices", number(2.5), "out_of_range", "'voices' cannot be 2.5"),
        ("out", "in", number(1.0), "wrong_type", "is an inlet"),
    ];
    for (id, param, value, code, expected) in table {
        let (got, why) = refused(PATCH, |it| it.set(id, param, &value));
        assert_eq!(got, code, "{id} {param}: {why}");
        assert!(why.contains(expected), "{id} {param}: {why}");
    }
}

#[test]
fn an_instrument_is_edited_by_its_params() {
    let line = changed(INSTRUMENTS, |it| it.set("bass", "pitch", &text("A1")));
    assert_eq!(line, ["bass  = { type = \"pluck\", cutoff = 300, pitch = \"A1\" }"]);
    let line =
        changed(INSTRUMENTS, |it| it.connect("hands.gate", "bass.cutoff", Some(&number(9.0))));
    assert_eq!(line, ["bass  = { type = \"pluck\", cutoff = \"300 + hands.gate * 9\" }"]);
    let line = changed(INSTRUMENTS, |it| it.connect("hands.pitch", "bass.pitch", None));
    assert_eq!(line, ["bass  = { type = \"pluck\", cutoff = 300, pitch = \"440 + hands.pitch\" }"]);
    // What its define feeds by cables cannot be added to from outside.
    for (edit, port) in [("set", "cutoff"), ("connect", "cutoff"), ("connect", "in")] {
        let (code, why) = refused(INSTRUMENTS, |it| match edit {
            "set" => it.set("lead", port, &number(500.0)),
            _ => it.connect("hands.gate", &format!("lead.{port}"), None),
        });
        assert_eq!(code, "forbidden", "{why}");
        assert!(why.contains("cables in its define (pluck)"), "{why}");
    }
    assert_eq!(refused(INSTRUMENTS, |it| it.set("lead.filter", "q", &number(2.0))).0, "forbidden");
    let inner = |it: &mut Draft| it.connect("hands.gate", "lead.filter.q", None);
    assert_eq!(refused(INSTRUMENTS, inner).0, "forbidden");
    let line = changed(INSTRUMENTS, |it| it.create("pad", "pluck", &[]));
    assert_eq!(line, ["pad = { type = \"pluck\" }"]);
}
