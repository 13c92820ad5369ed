//! The ends of the last hour, a bar for each minute.

use maud::{Markup, html};
use pgasync_core::Timestamp;
use pgasync_store::Minute;

use super::parts::number;

const MINUTE: i64 = 60_000_000;
const BARS: i64 = 60;
const WIDTH: i64 = 12;
const HEIGHT: i64 = 120;

/// Bars from the oldest minute to the present one. Minutes that were not read are empty.
pub(super) fn ends(minutes: &[Minute], now: Timestamp) -> Markup {
    let present = now.as_micros() - now.as_micros().rem_euclid(MINUTE);
    let first = present - (BARS - 1) * MINUTE;
    let top = minutes.iter().map(|minute| minute.ended).max().unwrap_or(0).max(1);
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / top).max(2) };
    html! {
        svg.chart viewBox={ "0 0 " (BARS * WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label={ "Ends in each minute of the last hour, at most " (number(top)) } {
            @for line in [0, 1, 2] {
                line.grid x1="0" x2=(BARS * WIDTH) y1=(line * HEIGHT / 2) y2=(line * HEIGHT / 2) {}
            }
            @for minute in minutes {
                @let place = (minute.begin.as_micros() - first) / MINUTE;
                @if (0..BARS).contains(&place) && minute.ended > 0 {
                    @let bad = height(minute.failed);
                    @let good = (height(minute.ended) - bad).max(0);
                    g {
                        title { (clock(minute.begin)) ": " (number(minute.ended)) " ended, " (number(minute.failed)) " failed, " (number(minute.entered)) " pushed" }
                        rect.good x=(place * WIDTH + 1) width=(WIDTH - 2) y=(HEIGHT - good - bad) height=(good) rx="1" {}
                        rect.bad x=(place * WIDTH + 1) width=(WIDTH - 2) y=(HEIGHT - bad) height=(bad) rx="1" {}
                    }
                }
            }
        }
        div.axis { span { "60 min ago" } span { "30 min" } span { "now" } }
    }
}

/// `14:05`, in UTC.
fn clock(time: Timestamp) -> String {
    let minutes = time.as_micros().div_euclid(MINUTE).rem_euclid(24 * 60);
    format!("{:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_in_their_minutes_and_fit() {
        let at = |minutes: i64| Timestamp::from_micros(minutes * MINUTE);
        let minute = |begin, ended, failed| Minute { begin: at(begin), entered: 0, ended, failed };
        let minutes = [minute(100, 10, 10), minute(941, 1_000_000, 0), minute(1_000, 1, 1)];
        let html = ends(&minutes, at(1_000)).into_string();
        // The first lies before the hour.
        assert_eq!(html.matches("<g>").count(), 2, "{html}");
        assert!(html.contains(r#"x="1" width="10" y="0" height="120""#), "{html}");
        assert!(html.contains(r#"x="709" width="10" y="118" height="2""#), "{html}");
        assert!(html.contains("16:40 UTC"), "{html}");
    }
}
