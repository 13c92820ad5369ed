//! `async.next_time` against the crate `croner`, where the rules of the two agree, and against tables
//! where they do not.

use std::hash::{BuildHasher, RandomState};

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgasync_tests::Database;

/// All rules of clock changes that are in use: half an hour, a day, the southern half, none.
pub(super) const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
];

/// The years of the cases: 2001 to 2036.
const SECONDS: std::ops::Range<i64> = 978_307_200..2_114_380_800;

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) >> 1).unwrap_or_default() % limit
    }

    fn value(&mut self, min: i64, max: i64) -> String {
        (min + self.below(max - min + 1)).to_string()
    }

    /// Values, ranges and steps without a `*`.
    fn list(&mut self, min: i64, max: i64) -> String {
        match self.below(3) {
            0 => self.value(min, max),
            1 => format!("{},{}", self.value(min, max), self.value(min, max)),
            _ => {
                let from = min + self.below(max - min);
                let to = from + 1 + self.below(max - from);
                format!("{from}-{to}/{}", 1 + self.below(5))
            }
        }
    }

    fn star(&mut self, max: i64) -> String {
        if self.below(2) == 0 { "*".to_owned() } else { format!("*/{}", 1 + self.below(max)) }
    }

    /// `croner` takes a time for fixed when second, minute and hour have one value each. pgasync takes
    /// it for fixed when minute and hour have no `*`, as cron does. The cases agree in both.
    pub(super) fn expression(&mut self) -> String {
        let (minute, hour) = match self.below(4) {
            0 => (self.star(40), self.list(0, 23)),
            1 => (self.list(0, 59), self.star(12)),
            2 => (self.star(40), self.star(12)),
            _ => (self.value(0, 59), self.value(0, 23)),
        };
        // A step in one field of days beside values in the other means AND in cron, and OR in croner.
        let (day, weekday) = match self.below(6) {
            0 => (self.list(1, 31), "*".to_owned()),
            1 => ("*".to_owned(), self.list(0, 6)),
            2 => (self.list(1, 31), self.list(0, 6)),
            3 => ("L".to_owned(), "*".to_owned()),
            4 => ("*".to_owned(), format!("{}L", self.value(0, 6))),
            _ => ("*".to_owned(), "*".to_owned()),
        };
        let month = if self.below(3) == 0 { self.list(1, 12) } else { "*".to_owned() };
        let second = if self.below(3) == 0 { format!("{} ", self.value(0, 59)) } else { String::new() };
        format!("{second}{minute} {hour} {day} {month} {weekday}")
    }

    /// Every second case lies near a change of the clocks, if the zone has any.
    fn after(&mut self, zone: &TimeZone) -> Timestamp {
        let any = Timestamp::from_second(SECONDS.start + self.below(SECONDS.end - SECONDS.start)).expect("a time");
        match zone.following(any).next() {
            Some(change) if self.below(2) == 0 => {
                let seconds = change.timestamp().as_second() + self.below(200_000) - 150_000;
                Timestamp::from_second(seconds).expect("a time")
            }
            _ => any,
        }
    }
}

struct Case {
    expression: String,
    zone: &'static str,
    after: i64,
    expected: i64,
}

fn case(random: &mut Random, parser: &CronParser, zones: &[TimeZone]) -> Option<Case> {
    let at = usize::try_from(random.below(10)).expect("an index");
    let (zone, name) = (&zones[at], ZONES[at]);
    let expression = random.expression();
    let after = random.after(zone);
    let cron: Cron = parser.parse(&expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    // 31 June never comes.
    let expected = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?;
    Some(Case { expression, zone: name, after: after.as_second(), expected: expected.timestamp().as_second() })
}

/// `PGASYNC_CRON_CASES` sets the number of cases.
#[tokio::test]
async fn next_times_of_cron_expressions_are_those_of_croner() {
    let count: usize = std::env::var("PGASYNC_CRON_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    let mut random = Random(seed);
    let parser = CronParser::builder().seconds(Seconds::Optional).build();
    let zones: Vec<TimeZone> = ZONES.iter().map(|name| TimeZone::get(name).expect("a zone")).collect();
    let cases: Vec<Case> =
        std::iter::repeat_with(|| case(&mut random, &parser, &zones)).flatten().take(count).collect();
    let database = Database::create().await;
    let mut wrong = Vec::new();
    for chunk in cases.chunks(1000) {
        let column = |of: fn(&Case) -> String| chunk.iter().map(of).collect::<Vec<_>>();
        let expressions = column(|case| case.expression.clone());
        let names = column(|case| case.zone.to_owned());
        let after: Vec<i64> = chunk.iter().map(|case| case.after).collect();
        let sql = "select extract(epoch from async.next_time(w, z, to_timestamp(a)))::bigint as next
            from unnest($1::text[], $2::text[], $3::bigint[]) with ordinality as c(w, z, a, n) order by n";
        let rows = database.rows(sql, &[&expressions, &names, &after]).await;
        for (case, row) in chunk.iter().zip(rows) {
            let next: i64 = row.get("next");
            if next != case.expected {
                wrong.push(format!(
                    "{} in {} after {}: {} in SQL, {} in croner",
                    case.expression,
                    case.zone,
                    at(case.after),
                    at(next),
                    at(case.expected)
                ));
            }
        }
    }
    println!("{} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(20)].join("\n"));
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// Rules of cron, and of pg_cron, that `croner` does not have.
#[tokio::test]
async fn next_times_where_the_rules_are_those_of_cron() {
    let database = Database::create().await;
    for (expression, zone, after, expected) in [
        // Both fields of days count where one of them begins with *.
        ("0 0 */2 * 1", "UTC", "2026-11-01 00:00+00", "2026-11-09 00:00+00"),
        ("0 0 13 * */5", "UTC", "2026-11-01 00:00+00", "2026-11-13 00:00+00"),
        ("0 0 13 * 5", "UTC", "2026-11-01 00:00+00", "2026-11-06 00:00+00"),
        // The last day of a month, as in pg_cron, and 7 for Sunday.
        ("0 0 $ 2 *", "UTC", "2027-03-01 00:00+00", "2028-02-29 00:00+00"),
        ("0 0 * * 7", "UTC", "2026-11-02 00:00+00", "2026-11-08 00:00+00"),
        ("0 0 * jan-mar,DEC fri", "UTC", "2026-11-02 00:00+00", "2026-12-04 00:00+00"),
        ("@monthly", "Europe/Berlin", "2026-11-02 00:00+00", "2026-12-01 00:00+01"),
        // Without a *, several skipped times fire once, and times that come twice fire once.
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29 00:59:59+00", "2026-03-29 03:00+02"),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29 03:00+02", "2026-03-30 02:00+02"),
        ("0,30 2 * * *", "Europe/Berlin", "2026-10-25 02:30+02", "2026-10-26 02:00+01"),
        // With a *, each time that the clocks show fires.
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29 00:59:59+00", "2026-03-30 02:00+02"),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25 02:30+02", "2026-10-25 02:00+01"),
        // Apia had no 30 December 2011.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-29 00:00+00", "2011-12-30 10:00+00"),
        ("every 90 minutes", "UTC", "2026-11-01 00:10:05.5+00", "2026-11-01 01:40:05.5+00"),
        ("30 seconds", "Europe/Berlin", "2026-11-01 00:10+00", "2026-11-01 00:10:30+00"),
        ("0 0 29 2 *", "UTC", "2096-03-01 00:00+00", "2104-02-29 00:00+00"),
        ("0 0 29 2 */6", "UTC", "2076-03-01 00:00+00", "2088-02-29 00:00+00"),
    ] {
        let sql = "select async.next_time($1, $2, $3::text::timestamptz)::text as next, $4::text::timestamptz::text as expected";
        let rows = database.rows(sql, &[&expression, &zone, &after, &expected]).await;
        let column = |name: &str| rows[0].get::<_, String>(name);
        assert_eq!(column("next"), column("expected"), "{expression} in {zone} after {after}");
    }
}

#[tokio::test]
async fn times_that_cannot_be_read_are_refused_with_the_field() {
    let database = Database::create().await;
    for (expression, problem) in [
        ("", "it has 0 fields"),
        ("* * * *", "it has 4 fields"),
        ("60 * * * *", "60 is no minute: it is from 0 to 59"),
        ("* 24 * * *", "24 is no hour"),
        ("* * 0 * *", "0 is no day"),
        ("* * 32 * *", "32 is no day"),
        ("* * * 13 *", "13 is no month"),
        ("* * * * 8", "8 is no weekday"),
        ("* * * foo *", "\"foo\" is no name of a month"),
        ("* * * * jan", "\"jan\" is no name of a weekday"),
        ("5/10 * * * *", "a step needs a range, such as 5-59/10"),
        ("*/0 * * * *", "the step of the minute is 0"),
        ("9-5 * * * *", "the range of the minute runs backwards"),
        ("1,,2 * * * *", "\"\" is no value, range or step of the minute"),
        ("-1 * * * *", "\"-1\" is no value, range or step of the minute"),
        ("99999999999 * * * *", "is no value, range or step of the minute"),
        ("* * L * L", "\"l\" is no value, range or step of the weekday"),
        ("every 0 seconds", "the interval is 0 or too long"),
        ("every 5 months", "it has 3 fields"),
        ("0 0 30 2 *", "it never fires"),
        ("0 0 31 4,6,9,11 *", "it never fires"),
    ] {
        let error = database
            .session()
            .query("select async.next_time($1, 'UTC', now())", &[&expression])
            .await
            .expect_err("it is refused")
            .to_string();
        assert!(error.contains(problem), "{expression}: {error}");
    }
    let rows = database.rows("select async.next_time('* * * * *', 'UTC', 'infinity') is null as never", &[]).await;
    assert!(rows[0].get::<_, bool>("never"));
}
