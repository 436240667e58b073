use proptest::prelude::*;

use super::*;

#[test]
fn people_write_cpu() {
    for (text, millicores) in
        [("4", 4000), ("500m", 500), ("1.5", 1500), ("0.001", 1), ("1.500", 1500), ("1m", 1)]
    {
        assert_eq!(Millicores::parse(text), Ok(Millicores(millicores)), "{text}");
    }
}

#[test]
fn people_write_sizes() {
    for (text, bytes) in [
        ("80Gi", 80 << 30),
        ("500Mi", 500 << 20),
        ("1024", 1024),
        ("5G", 5_000_000_000),
        ("1k", 1000),
        ("1Ki", 1024),
        ("7Ei", 7 << 60),
        ("9223372036854775807", i64::MAX),
    ] {
        assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
    }
}

#[test]
fn what_is_no_amount_is_refused_in_every_unit() {
    let long = "9".repeat(65536);
    for text in [
        "",
        " ",
        "0",
        "00",
        "0m",
        "0.0",
        "0Gi",
        "-1",
        "+1",
        "1e999",
        "1e3",
        "1E3",
        "1E+3",
        "٣",
        "1٣",
        "４",
        " 4",
        "4 ",
        "4\n",
        "1.",
        ".5",
        "1.2.3",
        "1_000",
        "0x10",
        "NaN",
        "inf",
        "\u{1b}[2J",
        "1Gi1",
        "99999999999999999999",
        "8Ei8",
        long.as_str(),
    ] {
        for unit in [Unit::Millicores, Unit::Bytes, Unit::Count] {
            let error = unit.parse(text).expect_err(text).to_string();
            assert!(error.chars().count() < 200 && error.contains(": write "), "{error}");
        }
    }
}

#[test]
fn a_refusal_says_what_to_write() {
    let cases = [
        (Unit::Bytes, "1.5Gi", "`1.5Gi` has a fraction: write `1536Mi`"),
        (Unit::Bytes, "1.0", "`1.0` has a fraction: write `1`"),
        (
            Unit::Bytes,
            "0.3Gi",
            "`0.3Gi` has a fraction: write whole numbers in a smaller unit, for example `1536Mi`",
        ),
        (Unit::Bytes, "80GB", "`80GB` has a unit that sizes are not written in: write `80Gi`"),
        (Unit::Bytes, "80gi", "`80gi` has a unit that sizes are not written in: write `80Gi`"),
        (Unit::Bytes, "80GiB", "`80GiB` has a unit that sizes are not written in: write `80Gi`"),
        (Unit::Bytes, "1e999", "`1e999` has an exponent: write a size, for example `80Gi`"),
        (Unit::Bytes, "-1", "`-1` is negative: write a size, for example `80Gi`"),
        (Unit::Bytes, "8Ei", "`8Ei` is too large to count: write less"),
        (Unit::Bytes, "0", "`0` is nothing: write a size of more than 0"),
        (Unit::Millicores, "2k", "`2k` has a unit that CPU is not written in: write `2000`"),
        (
            Unit::Millicores,
            "0.0005",
            "`0.0005` is finer than a thousandth of a core, or too large: write at most three \
             decimals, for example `1.5`",
        ),
        (
            Unit::Millicores,
            "1.5m",
            "`1.5m` is finer than a thousandth of a core, or too large: write at most three \
             decimals, for example `1.5`",
        ),
        (Unit::Count, "2k", "`2k` is no whole number in digits alone: write `2000`"),
        (
            Unit::Count,
            "2.5",
            "`2.5` is no whole number in digits alone: write digits alone, for example `20`",
        ),
        (Unit::Count, "", "`` is empty: write a number, for example `20`"),
    ];
    for (unit, text, said) in cases {
        assert_eq!(unit.parse(text).unwrap_err().to_string(), said);
    }
}

#[test]
fn the_canonical_form_is_what_the_api_server_prints_back() {
    for (count, shown) in
        [(0, "0"), (20, "20"), (1500, "1500"), (2000, "2k"), (20_000, "20k"), (1_000_000, "1M")]
    {
        assert_eq!(canonical_count(count), shown);
    }
    for (millicores, shown) in
        [(500, "500m"), (4000, "4"), (1500, "1500m"), (1_000_000, "1k"), (2_000_000_000, "2M")]
    {
        assert_eq!(Millicores(millicores).canonical(), shown);
    }
    for (bytes, shown) in [
        (0, "0"),
        (200 << 30, "200Gi"),
        (1 << 40, "1Ti"),
        (5_000_000_000, "5G"),
        (1500, "1500"),
        (2 << 60, "2Ei"),
        // Of both, the binary form: it is written with a binary unit.
        (1_024_000, "1000Ki"),
    ] {
        assert_eq!(Bytes(bytes).canonical(), shown);
    }
}

#[test]
fn what_the_api_server_prints_is_read_and_rounded_up() {
    let cases = [
        (Unit::Millicores, "1500m", 1500),
        (Unit::Millicores, "2", 2000),
        (Unit::Millicores, "2k", 2_000_000),
        (Unit::Millicores, "100u", 1),
        (Unit::Millicores, "1n", 1),
        (Unit::Millicores, "0", 0),
        (Unit::Bytes, "2Gi", 2 << 30),
        (Unit::Bytes, "1073741824", 1 << 30),
        (Unit::Bytes, "12k", 12_000),
        (Unit::Bytes, "1500m", 2),
        (Unit::Bytes, "1.5Gi", 3 << 29),
        (Unit::Bytes, "0.5", 1),
        (Unit::Bytes, "1e3", 1000),
        (Unit::Bytes, "1E3", 1000),
        (Unit::Bytes, "1E", 1_000_000_000_000_000_000),
        (Unit::Bytes, "12e-1", 2),
        (Unit::Count, "-1500m", -1),
        (Unit::Count, "+3", 3),
    ];
    for (unit, text, amount) in cases {
        assert_eq!(observed(unit, text), Ok(amount), "{text}");
    }
    for text in ["", "-", "x", "1x", "1e", "1e999", "1e99999999999", "٣", "1-2", "9Ei", "1 Gi"] {
        assert!(observed(Unit::Bytes, text).is_err(), "{text}");
    }
}

#[test]
fn amounts_read_as_people_write_them() {
    let bytes = [
        (0, "0"),
        (1, "1"),
        (1023, "1023"),
        (1024, "1Ki"),
        (200 << 30, "200Gi"),
        (1 << 40, "1Ti"),
        ((1 << 30) + 1024, "1048577Ki"),
        (-(3 << 20), "-3Mi"),
        (i64::MIN, "-8Ei"),
        (i64::MAX, "9223372036854775807"),
    ];
    for (bytes, shown) in bytes {
        assert_eq!(Bytes(bytes).to_string(), shown);
    }
    let cpu =
        [(0, "0"), (500, "500m"), (1000, "1"), (100_000, "100"), (1001, "1001m"), (-500, "-500m")];
    for (millicores, shown) in cpu {
        assert_eq!(Millicores(millicores).to_string(), shown);
    }
}

const UNITS: [Unit; 3] = [Unit::Millicores, Unit::Bytes, Unit::Count];

proptest! {
    #[test]
    fn what_is_shown_can_be_written(value in 1..=i64::MAX, shift in 0..62_u32) {
        for value in [value, value.wrapping_shl(shift)].into_iter().filter(|value| *value > 0) {
            for unit in UNITS {
                prop_assert_eq!(unit.parse(&unit.show(value)), Ok(value));
            }
        }
    }

    #[test]
    fn what_is_sent_is_read_back(value in any::<i64>(), shift in 0..62_u32, thousands in 0..5_u32) {
        for value in [value, value.wrapping_shl(shift), value.wrapping_mul(1000_i64.pow(thousands))] {
            for unit in UNITS {
                prop_assert_eq!(observed(unit, &unit.canonical(value)), Ok(value));
                prop_assert_eq!(observed(unit, &unit.show(value)), Ok(value));
            }
        }
    }

    #[test]
    fn any_text_gets_a_short_safe_answer(text in any::<String>()) {
        for unit in UNITS {
            if let Err(error) = unit.parse(&text) {
                let shown = error.to_string();
                prop_assert!(!shown.chars().any(text::acts_on_terminals));
                prop_assert!(shown.chars().count() < 200);
            }
            let _ = observed(unit, &text);
        }
    }

    #[test]
    fn near_quantities_get_an_answer(text in "[-+]?[0-9]{0,22}[.]?[0-9]{0,6}[a-zA-Z]{0,3}[-0-9]{0,4}") {
        for unit in UNITS {
            if let Ok(amount) = unit.parse(&text) {
                prop_assert!(amount > 0);
                prop_assert_eq!(observed(unit, &text), Ok(amount));
            }
            let _ = observed(unit, &text);
        }
    }
}

#[test]
fn ways_to_write_an_amount_are_the_same() {
    let same = [
        ["1", "1000m", "1e0", "+1"],
        ["1Gi", "1024Mi", "1073741824", "1048576Ki"],
        ["1.5Gi", "1536Mi", "1610612736", "1536Mi"],
        ["2k", "2e3", "2000", "2E3"],
        ["-1", "-1000m", "-1.0", "-1e0"],
        ["0", "0m", "0Gi", "-0"],
    ];
    for row in same {
        assert!(row.windows(2).all(|pair| same_amount(pair[0], pair[1])), "{row:?}");
    }
    assert!(!same_amount("999", "20") && !same_amount("1n", "0"));
    let nines = "9".repeat(60);
    for text in ["", "-", ".", "Gi", "1 Gi", "1e999", "1.2.3", "\u{e9}", "1gi", "NaN", &nines] {
        assert!(!same_amount(text, text), "{text} is no amount");
    }
}
