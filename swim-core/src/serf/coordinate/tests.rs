use std::collections::BTreeMap;
use std::string::{String, ToString};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::rng::{Rng, Stream};

const LOCAL: MemberId = MemberId(0);

fn rng(seed: u8) -> Rng {
    Rng::new([seed; 32], Stream::Jitter)
}

fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

fn at(x: f64, y: f64) -> Coordinate {
    Coordinate { vec: [x, y, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ..Coordinate::ORIGIN }
}

/// Serf's own coordinate package, given the same pings, came to the same floats.
#[test]
fn vectors() {
    let vectors = exact(include_str!("../../../tests/vectors/serf/vivaldi.json"));
    for distance in vectors["distance"].as_array().expect("a list") {
        let (a, b) = (coordinate(&distance["a"]), coordinate(&distance["b"]));
        let (a, b) = (a.expect("valid"), b.expect("valid"));
        let expected = nanos(integer(&distance["ns"]) as u64);
        assert_eq!(a.distance_to(&b), expected);
        assert_eq!(b.distance_to(&a), expected);
    }

    let mut coordinates = Coordinates::new(LOCAL);
    coordinates.own = coordinate(&vectors["start"]).expect("valid");
    let mut ids = BTreeMap::new();
    let mut rng = rng(1);
    let steps = vectors["steps"].as_array().expect("a list");
    assert_eq!(steps.len(), 37);
    for (number, step) in steps.iter().enumerate() {
        let before = coordinates.own;
        let next = MemberId(ids.len() as u32 + 1);
        let member = *ids.entry(text(&step["node"])).or_insert(next);
        // A negative round trip cannot be said here.
        let Ok(rtt) = integer(&step["rtt_ns"]).try_into().map(nanos) else { continue };
        let other = coordinate(&step["other"]);
        let moved = other.and_then(|other| coordinates.update(&mut rng, member, &other, rtt));
        if let Some(error) = step.get("error") {
            assert_eq!(moved.expect_err("refused").to_string(), text(error), "step {number}");
            assert_eq!(coordinates.own, before, "step {number}");
            continue;
        }
        let other = other.expect("valid");
        let result = coordinate(&step["result"]).expect("valid");
        assert_eq!(bits(&coordinates.own), bits(&result), "step {number}: {:?} for {result:?}", coordinates.own);
        let distance = nanos(integer(&step["distance_to_other_ns"]) as u64);
        assert_eq!(coordinates.own.distance_to(&other), distance, "step {number}");
        assert_eq!(moved, Ok(before.distance_to(&result)), "step {number}");
        assert_eq!(coordinates.get(member), Some(other));
        assert_eq!(coordinates.get(LOCAL), Some(result));
    }
    assert_eq!(rng.next_u64(), self::rng(1).next_u64(), "no step needs randomness");
    assert_eq!(coordinates.resets() as i64, integer(&vectors["resets"]));
    assert_eq!(coordinates.get(ids["x"]), None, "its coordinate was refused");

    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for part in 0..11 {
            let mut parts = [0.0; 11];
            parts[part] = value;
            let error = Coordinate::from_parts(&parts[..8], parts[8], parts[9], parts[10]).expect_err("invalid");
            assert_eq!(error.to_string(), text(&vectors["nan_error"]));
        }
    }
}

#[test]
fn durations_as_go_prints_them() {
    let table = [
        (nanos(10_000_000_001), "10.000000001s"),
        (nanos(10_500_000_000), "10.5s"),
        (nanos(60_000_000_000), "1m0s"),
        (nanos(3_600_000_000_000), "1h0m0s"),
        (nanos(90_061_250_000_000), "25h1m1.25s"),
    ];
    for (rtt, printed) in table {
        let expected = std::format!(
            "round trip time not in valid range, duration {printed} is not a positive value less than 10s "
        );
        assert_eq!(CoordinateError::RttOutOfRange { rtt }.to_string(), expected);
    }
}

#[test]
fn dimensions() {
    for len in [0, 7, 9] {
        let refused = Coordinate::from_parts(&[0.0; 9][..len], 1.0, 0.0, 1.0);
        assert_eq!(refused, Err(CoordinateError::Dimensions));
    }
    assert!(Coordinate::from_parts(&[0.0; 8], 1.0, 0.0, 1.0).is_ok());
}

#[test]
fn the_median_of_the_last_three() {
    let mut peer = Peer::new(MemberId(1));
    // Of two it is the longer: `sorted[len / 2]`.
    let table = [
        (5, 5),
        (3, 5),
        (9, 5),
        (1, 3),
        (2, 2),
        (10_000_000_000, 2),
        (10_000_000_000, 10_000_000_000),
        (0, 10_000_000_000),
    ];
    for (rtt, filtered) in table {
        assert_eq!(peer.filter(nanos(rtt)), nanos(filtered), "after {rtt}");
    }
}

#[test]
fn nodes_at_one_place_part_in_random_directions() {
    let part = |seed| {
        let mut coordinates = Coordinates::new(LOCAL);
        let moved = coordinates.update(&mut rng(seed), MemberId(1), &Coordinate::ORIGIN, Duration::from_millis(100));
        assert!(moved.expect("in range") > Duration::from_millis(10));
        assert_eq!(coordinates.own.height(), HEIGHT_MIN, "there is no direction to be high in");
        coordinates.own
    };
    assert_eq!(bits(&part(1)), bits(&part(1)));
    assert_ne!(part(1), part(2));
    // In all directions, in each dimension.
    let places: Vec<_> = (0..20).map(|seed| part(seed).vec).collect();
    for dimension in 0..DIMENSIONS {
        let negative = places.iter().filter(|place| place[dimension] < 0.0).count();
        assert!((1..20).contains(&negative), "{negative} of 20 in dimension {dimension}");
    }
}

/// Nearer than a micrometre is one place, and the next place is not.
#[test]
fn where_places_begin_to_differ() {
    let height = |x| {
        let mut own = Coordinate::ORIGIN;
        own.apply(&mut rng(1), 1e-9, &at(x, 0.0));
        own.height
    };
    assert_eq!(height(ZERO_THRESHOLD), HEIGHT_MIN, "there is no direction to be high in");
    assert!(height(ZERO_THRESHOLD * 1.001) > HEIGHT_MIN);
}

/// Adjustments count as long as they leave anything (Serf: `coordinate.go`, DistanceTo).
#[test]
fn adjustments_do_not_use_up_a_distance() {
    let table = [(0.0, 250), (0.25, 500), (-0.125, 125), (-0.25, 250), (-0.5, 250)];
    for (adjustment, millis) in table {
        let here = Coordinate { height: 0.0, ..Coordinate::ORIGIN };
        let there = Coordinate { height: 0.0, adjustment, ..at(0.25, 0.0) };
        assert_eq!(here.distance_to(&there), Duration::from_millis(millis), "{adjustment}");
    }
}

#[test]
fn too_long_a_round_trip_changes_nothing() {
    let mut coordinates = Coordinates::new(LOCAL);
    let rtt = RTT_MAX + nanos(1);
    let refused = coordinates.update(&mut rng(1), MemberId(1), &at(0.1, 0.0), rtt);
    assert_eq!(refused, Err(CoordinateError::RttOutOfRange { rtt }));
    assert_eq!(coordinates.own(), Coordinate::ORIGIN);
    assert_eq!(coordinates.get(MemberId(1)), None);
    assert!(coordinates.update(&mut rng(1), MemberId(1), &at(0.1, 0.0), RTT_MAX).is_ok());
}

/// One lie must not cost more than one reset, whatever it is; afterwards honest peers are believed as before.
#[test]
fn a_lost_coordinate_starts_afresh() {
    let lies = [
        at(1e15, 0.0),
        at(f64::MAX, -f64::MAX),
        Coordinate { height: -1e15, ..Coordinate::ORIGIN },
        Coordinate { height: f64::MAX, ..at(1.0, 0.0) },
        Coordinate { adjustment: 1e12, ..at(1.0, 0.0) },
        Coordinate { error: -1.5, ..at(0.01, 0.0) },
        Coordinate { error: -1.0, ..at(0.01, 0.0) },
    ];
    let mut resets = 0;
    for lie in lies {
        let mut coordinates = Coordinates::new(LOCAL);
        let mut rng = rng(1);
        let update = |coordinates: &mut Coordinates, rng: &mut Rng, member, other: &Coordinate| {
            coordinates.update(rng, member, other, Duration::from_millis(20)).expect("in range");
        };
        update(&mut coordinates, &mut rng, MemberId(1), &lie);
        for _ in 0..200 {
            update(&mut coordinates, &mut rng, MemberId(2), &at(0.01, 0.0));
            update(&mut coordinates, &mut rng, MemberId(3), &at(-0.01, 0.0));
        }
        assert!(coordinates.resets() <= 1, "{} resets after {lie:?}", coordinates.resets());
        resets += coordinates.resets();
        let distance = coordinates.own().distance_to(&at(0.01, 0.0)).as_secs_f64();
        assert!((0.01..0.03).contains(&distance), "{distance} after {lie:?}");
    }
    assert!(resets > 0, "some of them are that bad");
}

/// What an ack carries and is no coordinate is counted, and believed by nobody.
#[test]
fn bad_payloads_are_counted() {
    let mut scene = crate::serf::tests::Scene::new();
    scene.alive(1, b"");
    let member = scene.parts.roster.find(b"b").expect("it is there");
    let mut hear = |coordinate: &WireCoordinate, rtt| {
        let mut payload = Vec::new();
        scene.serf.codec.encode_coordinate(coordinate, &mut payload);
        scene.serf.handle_ack_payload(&mut scene.parts.cx(), ProbeCompleted { member, rtt }, &payload);
        (scene.parts.stats.coordinates_rejected, scene.parts.stats.coordinates_zero_rtt)
    };
    let good = WireCoordinate { error: 1.0, height: HEIGHT_MIN, ..WireCoordinate::default() };
    let rtt = Duration::from_millis(20);
    assert_eq!(hear(&good, rtt), (0, 0));
    assert_eq!(hear(&WireCoordinate { error: f64::NAN, ..good }, rtt), (1, 0));
    assert_eq!(hear(&good, RTT_MAX + nanos(1)), (2, 0));
    assert_eq!(hear(&good, Duration::ZERO), (2, 1));
}

/// Members on a line, 10 ms from one to the next, learn all distances by pinging a random one each round.
#[test]
fn a_line_is_found() {
    const MEMBERS: usize = 10;
    let true_distance = |a: usize, b: usize| Duration::from_millis(10 * a.abs_diff(b) as u64);
    let id = |member: usize| MemberId(member as u32);
    let mut rng = rng(7);
    let mut line: Vec<_> = (0..MEMBERS).map(|member| Coordinates::new(id(member))).collect();
    for _ in 0..1000 {
        for a in 0..MEMBERS {
            let b = rng.below(MEMBERS);
            if a != b {
                let other = line[b].own();
                line[a].update(&mut rng, id(b), &other, true_distance(a, b)).expect("in range");
            }
        }
    }
    for a in 0..MEMBERS {
        for b in 0..MEMBERS {
            let expected = true_distance(a, b).as_secs_f64();
            let estimated = if a == b { 0.0 } else { line[a].own().distance_to(&line[b].own()).as_secs_f64() };
            let wrong = (estimated - expected).abs();
            assert!(wrong <= 0.1 * expected, "{a} to {b}: {estimated} for {expected}");
        }
        assert_eq!(line[a].resets(), 0);
        assert!(line[a].own().error() < 0.1);
    }
}

#[test]
fn size_of_a_peer() {
    assert_eq!(size_of::<Coordinate>(), 88);
    assert_eq!(size_of::<Peer>(), 104);
}

proptest! {
    #[test]
    fn distances_are_symmetric_and_not_negative(a in any_sane(), b in any_sane()) {
        // Not exactly symmetric: sums of floats depend on their order.
        let difference = a.distance_to(&b).abs_diff(b.distance_to(&a));
        prop_assert!(difference <= nanos(1), "{difference:?}");
        prop_assert!(a.distance_to(&b) > Duration::ZERO, "heights add up");
        prop_assert!(a.nanos_to(&b) > 0);
    }

    /// No peer, however extreme what it claims, makes our coordinate one that others would refuse.
    #[test]
    fn lies_do_not_spoil_ours(lies in prop::collection::vec((any_finite(), 0u32..3, 0u64..=10_000_000_000), 1..60)) {
        let mut coordinates = Coordinates::new(LOCAL);
        let mut rng = rng(3);
        for (lie, member, rtt) in lies {
            let before = coordinates.own();
            let moved = coordinates.update(&mut rng, MemberId(1 + member), &lie, nanos(rtt)).expect("in range");
            let own = coordinates.own();
            prop_assert!(Coordinate::from_parts(own.vec(), own.error(), own.adjustment(), own.height()).is_ok());
            prop_assert!(own.height() >= HEIGHT_MIN, "{own:?}");
            prop_assert!((0.0..=ERROR_MAX).contains(&own.error()), "{own:?}");
            prop_assert!(own.distance_to(&Coordinate::ORIGIN).as_secs_f64() <= GRAVITY_REACH);
            prop_assert_eq!(moved, before.distance_to(&own));
            let _ = own.distance_to(&lie);
        }
    }

    /// The look-up agrees with a map, whatever is learnt and forgotten.
    #[test]
    fn look_ups(steps in prop::collection::vec((1u32..20, any::<bool>(), any_sane()), 0..200)) {
        let mut coordinates = Coordinates::new(LOCAL);
        let mut rng = rng(4);
        let mut model = BTreeMap::new();
        for (member, learn, other) in steps {
            if learn {
                coordinates.update(&mut rng, MemberId(member), &other, nanos(1)).expect("in range");
                model.insert(member, other);
            } else {
                coordinates.forget(MemberId(member));
                model.remove(&member);
            }
            prop_assert_eq!(coordinates.peers.len(), model.len());
            prop_assert_eq!(coordinates.by_member.iter().filter(|at| **at != NOWHERE).count(), model.len());
            for member in 1..20 {
                prop_assert_eq!(coordinates.get(MemberId(member)), model.get(&member).copied());
            }
        }
    }
}

fn any_sane() -> impl Strategy<Value = Coordinate> {
    (prop::array::uniform8(-5.0..5.0), 0.0..=ERROR_MAX, -1.0..1.0, HEIGHT_MIN..1.0)
        .prop_map(|(vec, error, adjustment, height)| Coordinate { vec, error, adjustment, height })
}

/// Each part may be anything from the plausible to the largest there is.
fn any_finite() -> impl Strategy<Value = Coordinate> {
    let part = || {
        prop_oneof![
            -1.0..1.0,
            -1e6..1e6,
            prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
            Just(f64::MAX),
            Just(f64::MIN),
        ]
    };
    let parts = (prop::array::uniform8(part()), part(), part(), part());
    parts.prop_map(|(vec, error, adjustment, height)| Coordinate { vec, error, adjustment, height })
}

fn bits(coordinate: &Coordinate) -> [u64; 11] {
    let Coordinate { vec, error, adjustment, height } = coordinate;
    let [a, b, c, d, e, f, g, h] = *vec;
    [a, b, c, d, e, f, g, h, *error, *adjustment, *height].map(f64::to_bits)
}

fn coordinate(value: &Value) -> Result<Coordinate, CoordinateError> {
    let vec: Vec<_> = value["Vec"].as_array().expect("a list").iter().map(float).collect();
    Coordinate::from_parts(&vec, float(&value["Error"]), float(&value["Adjustment"]), float(&value["Height"]))
}

fn float(value: &Value) -> f64 {
    text(value).parse().expect("a number")
}

fn integer(value: &Value) -> i64 {
    text(value).parse().expect("an integer")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Reads JSON with every number as a text: `serde_json` by itself may miss a float's last bit.
fn exact(json: &str) -> Value {
    let mut quoted = String::new();
    for (place, part) in json.split('"').enumerate() {
        // Every other part is inside of quotes; there are no escaped ones.
        if place % 2 == 1 {
            quoted.extend(["\"", part, "\""]);
            continue;
        }
        let mut rest = part;
        while let Some(from) = rest.find(|c: char| c == '-' || c.is_ascii_digit()) {
            let len = rest[from..].find(|c: char| ",]}".contains(c) || c.is_whitespace()).expect("more follows");
            let (before, number) = rest[..from + len].split_at(from);
            quoted.extend([before, "\"", number, "\""]);
            rest = &rest[from + len..];
        }
        quoted.push_str(rest);
    }
    serde_json::from_str(&quoted).expect("vectors are JSON")
}
