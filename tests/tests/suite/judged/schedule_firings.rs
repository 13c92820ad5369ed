//! Which times of a schedule fire, and what they do at a target: the core against
//! `async.decide_schedule` and `async.decide_overlap`, over random cases and over simulated years with
//! steps of the clock. The times come from the crate `croner`, or are counted.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;
use pgasync_core::{CatchUp, Firing, Overlap, ScheduleState, Span, Timestamp};
use pgasync_tests::Database;
use serde_json::Value;

use super::schedule_times::{Random, ZONES};

const CATCH_UPS: [CatchUp; 3] = [CatchUp::None, CatchUp::Last, CatchUp::All];

/// Runs a schedule at given times, in microseconds since 1970, from the state in which all times up to
/// `last` are decided. A row a time: the times that fire, the state, whether the clock was set back.
const SIMULATE: &str = "
    create function pg_temp.at(us bigint) returns timestamptz language sql immutable as
      $f$ select timestamptz '1970-01-01 00:00+00' + us * interval '1 microsecond' $f$;
    create function pg_temp.us(t timestamptz) returns bigint language sql immutable as
      $f$ select extract(epoch from date_trunc('second', t))::bigint * 1000000 + to_char(t, 'US')::int $f$;
    create function pg_temp.simulate(
      in_when text, in_zone text, in_catch_up text, in_last bigint, in_nows bigint[], in_times_max int)
    returns jsonb language plpgsql as $f$
    declare
      v_last timestamptz := pg_temp.at(in_last);
      v_next timestamptz := async.next_time(in_when, in_zone, v_last);
      v_now bigint;
      v_done record;
      v_all jsonb[] := '{}';
    begin
      foreach v_now in array in_nows loop
        v_done := async.decide_schedule(in_when, in_zone, in_catch_up, v_last, v_next, pg_temp.at(v_now), in_times_max);
        v_last := v_done.out_last;
        v_next := v_done.out_next;
        v_all := v_all || jsonb_build_array(
          (select coalesce(jsonb_agg(pg_temp.us(f)), '[]') from unnest(v_done.out_fires) f),
          pg_temp.us(v_last), pg_temp.us(v_next), v_done.out_set_back);
      end loop;
      return to_jsonb(v_all);
    end $f$";

/// The times of a schedule.
enum Times {
    Cron(Box<Cron>, TimeZone),
    Every(Span),
}

impl Times {
    fn after(&self, time: Timestamp) -> Timestamp {
        match self {
            Self::Every(span) => time + *span,
            Self::Cron(cron, zone) => {
                let after = jiff::Timestamp::from_microsecond(time.as_micros()).expect("a time");
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).expect("it comes");
                Timestamp::from_micros(next.timestamp().as_second() * 1_000_000)
            }
        }
    }
}

struct Schedule {
    when: String,
    zone: &'static str,
    times: Times,
}

impl Schedule {
    fn cron(expression: &str, zone: &'static str) -> Self {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser.parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let times = Times::Cron(Box::new(cron), TimeZone::get(zone).expect("a zone"));
        Self { when: expression.to_owned(), zone, times }
    }

    fn every(seconds: i64) -> Self {
        Self { when: format!("every {seconds} seconds"), zone: "UTC", times: Times::Every(Span::seconds(seconds)) }
    }

    fn random(random: &mut Random) -> Self {
        if random.below(4) == 0 {
            return Self::every(1 + random.below(100_000));
        }
        let zone = ZONES[usize::try_from(random.below(10)).expect("an index")];
        loop {
            let schedule = Self::cron(&random.expression(), zone);
            // 31 June never comes.
            let never = matches!(&schedule.times, Times::Cron(cron, zone) if {
                let now = jiff::Timestamp::from_second(1_700_000_000).expect("a time").to_zoned(zone.clone());
                cron.find_next_occurrence(&now, false).is_err()
            });
            if !never {
                return schedule;
            }
        }
    }

    /// What the core makes of the times.
    fn simulate(&self, catch_up: CatchUp, last: Timestamp, nows: &[Timestamp], times_max: usize) -> Vec<Firing> {
        let mut state = ScheduleState { last, next: self.times.after(last) };
        let mut all = Vec::new();
        for now in nows {
            let firing = state.decide(catch_up, *now, times_max, |after| self.times.after(after));
            state = firing.state;
            all.push(firing);
        }
        all
    }
}

async fn simulate_in_sql(
    database: &Database,
    schedule: &Schedule,
    catch_up: CatchUp,
    last: Timestamp,
    nows: &[Timestamp],
    times_max: usize,
) -> Vec<Firing> {
    let at: Vec<i64> = nows.iter().map(|now| now.as_micros()).collect();
    let times_max = i32::try_from(times_max).expect("few");
    let sql = "select pg_temp.simulate($1, $2, $3, $4, $5, $6)";
    let rows = database
        .rows(sql, &[&schedule.when, &schedule.zone, &catch_up.as_str(), &last.as_micros(), &at, &times_max])
        .await;
    let answers: Value = rows[0].get(0);
    let time = |value: &Value| Timestamp::from_micros(value.as_i64().expect("microseconds"));
    let firing = |answer: &Value| Firing {
        fires: answer[0].as_array().expect("times").iter().map(time).collect(),
        state: ScheduleState { last: time(&answer[1]), next: time(&answer[2]) },
        set_back: answer[3].as_bool().expect("a bool"),
    };
    answers.as_array().expect("a row a time").iter().map(firing).collect()
}

async fn prepared() -> Database {
    let database = Database::create().await;
    database.run(SIMULATE).await;
    database
}

fn seed() -> u64 {
    let given = std::env::var("PGASYNC_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("PGASYNC_SEED={seed}");
    seed
}

/// `PGASYNC_CRON_CASES` sets the number of cases.
#[tokio::test]
async fn the_times_that_fire_are_those_of_the_core() {
    let count: usize = std::env::var("PGASYNC_CRON_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let database = prepared().await;
    let mut random = Random(seed());
    let (mut fired, mut late, mut set_back) = (0, 0, 0);
    for _ in 0..count {
        let schedule = Schedule::random(&mut random);
        let catch_up = CATCH_UPS[usize::try_from(random.below(3)).expect("an index")];
        let last =
            Timestamp::from_micros((1_600_000_000 + random.below(100_000_000)) * 1_000_000 + random.below(1_000_000));
        // Some times later, at most as many as the core can count: at a time, just before it, or after.
        let mut at = last;
        for _ in 0..random.below(3) * random.below(3) * random.below(300) + 1 {
            // Microseconds beyond the year 2200 are no exact doubles.
            if at.as_micros() < 7_000_000_000_000_000 {
                at = schedule.times.after(at);
            }
        }
        let step = [-7_200_000_000, -3_600_000_001, -1, 0, 1, 60_000_000, 60_000_001, 3_000_000_000];
        let now = at + Span::micros(step[usize::try_from(random.below(8)).expect("an index")]);
        let times_max = usize::try_from(random.below(4) * random.below(20)).expect("few");
        let ours = schedule.simulate(catch_up, last, &[now], times_max);
        let theirs = simulate_in_sql(&database, &schedule, catch_up, last, &[now], times_max).await;
        assert_eq!(
            ours, theirs,
            "{} in {}, {catch_up:?}, last {last:?}, now {now:?}, {times_max}",
            schedule.when, schedule.zone
        );
        fired += ours[0].fires.len();
        late += usize::from(ours[0].fires.is_empty() && ours[0].state.last > last);
        set_back += usize::from(ours[0].set_back);
    }
    println!("{count} cases: {fired} times fired, {late} cases passed all, {set_back} clocks were set back");
    assert!(fired > 0 && late > 0 && set_back > 0, "each kind of case has to occur");
}

#[tokio::test]
async fn what_a_time_does_at_a_target_is_what_the_core_says() {
    let database = prepared().await;
    for overlap in Overlap::ALL {
        for (unfinished, waiting) in [(false, false), (false, true), (true, false), (true, true)] {
            let rows = database
                .rows("select async.decide_overlap($1, $2, $3)", &[&overlap.as_str(), &unfinished, &waiting])
                .await;
            let ours = overlap.at_target(unfinished, waiting).as_str();
            assert_eq!(rows[0].get::<_, &str>(0), ours, "{overlap:?}, {unfinished}, {waiting}");
        }
    }
}

/// The times at which a leader looks, over a year from October 2025: mostly minutes apart, with gaps of
/// days, and with a clock that is set back by 59 and by 61 minutes. Both changes of the clocks in Berlin
/// are looked at each minute.
fn year(random: &mut Random) -> (Vec<Timestamp>, usize) {
    const BEGIN: i64 = 1_759_276_800;
    const CHANGES: [i64; 2] = [1_761_440_400, 1_774_746_000];
    let (mut nows, mut now, mut far_back) = (Vec::new(), BEGIN, 0);
    while now < BEGIN + 366 * 86_400 {
        nows.push(Timestamp::from_micros(now * 1_000_000 + random.below(1_000_000)));
        let near_change = CHANGES.iter().any(|change| (now - change).abs() < 4 * 3_600);
        now += match random.below(400) {
            0 => random.below(5 * 86_400),
            1 => -59 * 60,
            // The clock was set back: between two looks that are an hour apart at most, nothing else.
            2 => {
                far_back += 1;
                -61 * 60 - 60
            }
            _ if near_change => 60,
            n if n < 40 => random.below(86_400),
            _ => random.below(3_600),
        };
    }
    (nows, far_back)
}

#[tokio::test]
async fn a_simulated_year_with_clock_steps_fires_what_the_core_says() {
    let database = prepared().await;
    let mut random = Random(seed());
    let (nows, far_back) = year(&mut random);
    assert!(far_back > 3 && nows.len() > 1_000, "{} looks, {far_back} steps", nows.len());
    let mut set_backs = 0;
    for schedule in [
        Schedule::cron("30 2 * * *", "Europe/Berlin"),
        Schedule::cron("*/15 * * * *", "Europe/Berlin"),
        Schedule::cron("0 */3 * * *", "Europe/Berlin"),
        Schedule::cron("0 6 L * *", "America/New_York"),
        Schedule::every(25_200),
    ] {
        for catch_up in CATCH_UPS {
            let last = nows[0];
            let ours = schedule.simulate(catch_up, last, &nows, 100);
            let theirs = simulate_in_sql(&database, &schedule, catch_up, last, &nows, 100).await;
            let name = format!("{} in {}, {catch_up:?}", schedule.when, schedule.zone);
            for ((ours, theirs), now) in ours.iter().zip(&theirs).zip(&nows) {
                assert_eq!(ours, theirs, "{name}, at {now:?}");
            }
            // Between two set-backs each time fires once, and none before its time.
            let mut seen = BTreeSet::new();
            let (mut fired, mut set_back) = (0, 0);
            for (firing, now) in theirs.iter().zip(&nows) {
                if firing.set_back {
                    seen.clear();
                    set_back += 1;
                }
                for time in &firing.fires {
                    assert!(time <= now && seen.insert(*time), "{name}: {time:?} at {now:?}");
                }
                fired += firing.fires.len();
            }
            println!("{name}: {} looks, {fired} times fired, {set_back} set-backs", nows.len());
            // With a look each half an hour, few times are no more than a minute late.
            assert!(fired > 0 || catch_up == CatchUp::None, "{name}");
            set_backs += set_back;
        }
    }
    assert!(set_backs > 0, "no step of the clock was an hour behind a time that had fired");
}
