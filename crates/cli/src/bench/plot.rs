//! A plot of the rate over workers and of the latency, as SVG.

use std::fmt::Write;

use super::arguments::Scenario;
use super::report::Report;
use super::results::Measured;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const PLOT_WIDTH: f64 = 350.0;
const PLOT_HEIGHT: f64 = 220.0;

const COLORS: [&str; 5] = ["#d9480f", "#1971c2", "#868e96", "#2f9e44", "#862e9c"];

/// Two panels. A panel without numbers says so.
pub(super) fn svg(report: &Report) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2.0 * WIDTH
    );
    let of = |scenario: Scenario, metrics: &[&str]| -> Vec<Measured> {
        let all = report.results.measured.iter();
        all.filter(|known| known.scenario == scenario && metrics.contains(&known.metric)).cloned().collect()
    };
    let rates = of(Scenario::Throughput, &["per_second"]);
    let series = series(
        &rates,
        |known| known.subject.clone(),
        |known| (known.case.number().map(|workers| format!("{workers:.0}")).unwrap_or_default(), known.median()),
    );
    panel(&mut text, 0.0, "Tasks or transactions a second, over workers or clients", &series);
    let latencies = of(Scenario::Latency, &["p50_ms", "p95_ms", "p99_ms", "max_ms"]);
    let series = self::series(
        &latencies,
        |known| format!("{}, {}", known.subject, known.case),
        |known| (known.metric.trim_end_matches("_ms").to_owned(), known.median()),
    );
    panel(&mut text, WIDTH, "Milliseconds from a push to its record", &series);
    text + "</svg>\n"
}

/// A line: its name, and its points by the label on the horizontal axis.
type Series = (String, Vec<(String, f64)>);

fn series(
    measured: &[Measured],
    name: impl Fn(&Measured) -> String,
    point: impl Fn(&Measured) -> (String, f64),
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for known in measured {
        let name = name(known);
        match all.iter_mut().find(|(of, _)| *of == name) {
            Some((_, points)) => points.push(point(known)),
            None => all.push((name, vec![point(known)])),
        }
    }
    all
}

/// The vertical axis is logarithmic, from the power of ten below the least value to the one above
/// the largest.
fn panel(text: &mut String, left: f64, title: &str, all: &[Series]) {
    let (x0, bottom) = (left + LEFT, TOP + PLOT_HEIGHT);
    let _ = writeln!(text, "<text x=\"{x0}\" y=\"20\" font-weight=\"bold\">{title}</text>");
    let values: Vec<f64> = all.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value)).collect();
    let least = values.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min).log10().floor();
    let most = values.iter().copied().fold(0.0, f64::max).log10().ceil();
    if !least.is_finite() || !most.is_finite() {
        let _ = writeln!(text, "<text x=\"{x0}\" y=\"{TOP}\">not measured</text>");
        return;
    }
    let span = (most - least).max(1.0);
    let y = |value: f64| bottom - (value.max(1e-9).log10() - least) / span * PLOT_HEIGHT;
    let mut tick = least;
    while tick <= most {
        let (at, label) = (y(10_f64.powf(tick)), 10_f64.powf(tick));
        let _ = writeln!(
            text,
            "<path d=\"M{x0} {at:.1}h{PLOT_WIDTH}\" stroke=\"#dee2e6\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            x0 - 6.0,
            at + 4.0
        );
        tick += 1.0;
    }
    let mut labels: Vec<&String> = Vec::new();
    for (label, _) in all.iter().flat_map(|(_, points)| points) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let x = |label: &String| {
        let place = labels.iter().position(|known| *known == label).unwrap_or_default();
        x0 + (place_of(place) + 0.5) / place_of(labels.len()) * PLOT_WIDTH
    };
    for label in &labels {
        let _ =
            writeln!(text, "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", x(label), bottom + 16.0);
    }
    for (n, (name, points)) in all.iter().enumerate() {
        line(text, COLORS[n % COLORS.len()], points.iter().map(|(label, value)| (x(label), y(*value))).collect());
        let (lx, ly) = (x0 + 180.0 * place_of(n % 2), bottom + 34.0 + 16.0 * place_of(n / 2));
        let color = COLORS[n % COLORS.len()];
        let _ = writeln!(
            text,
            "<path d=\"M{lx} {:.1}h14\" stroke=\"{color}\" stroke-width=\"3\"/><text x=\"{}\" y=\"{ly}\">{name}</text>",
            ly - 4.0,
            lx + 20.0
        );
    }
}

fn line(text: &mut String, color: &str, points: Vec<(f64, f64)>) {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ =
        writeln!(text, "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>", path.join(" "));
    for (x, y) in points {
        let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
    }
}

/// A place in a list as a coordinate.
fn place_of(place: usize) -> f64 {
    f64::from(u32::try_from(place).unwrap_or(u32::MAX))
}
