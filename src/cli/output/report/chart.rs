//! A run's calls over time as an SVG: calls a second at the top, latency at the bottom.

use crate::{
    base::{millis, with_thousands},
    bulk::{CallSlot, CallTimes},
};
use std::time::Duration;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 944.0;

/// Where one of the two diagrams is, by `y`.
#[derive(Clone, Copy)]
struct Half {
    top: f64,
    bottom: f64,
}

impl Half {
    const fn height(self) -> f64 {
        self.bottom - self.top
    }
}

/// The values of a half.
#[derive(Clone, Copy)]
struct Scale {
    /// The value at the top.
    max: f64,
    /// The step between the grid lines.
    step: f64,
}

const RATE: Half = Half { top: 36.0, bottom: 176.0 };
const LATENCY: Half = Half { top: 236.0, bottom: 376.0 };

/// Including the labels of the time axis below the halves.
const HEIGHT: f64 = 428.0;

/// The length of a slot whose rates need no explanation.
const SECOND: Duration = Duration::from_secs(1);

/// The maximum width of a bar, for short runs with few bars.
const MAX_BAR: f64 = 40.0;

/// The maximum number of slots that have a dot each on the lines.
const MAX_DOTS: usize = 80;

/// Possible steps between the labels of the time axis, in seconds.
const TIME_STEPS: [u64; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400];

/// The SVG; its colours come from the page's style sheet.
pub(crate) fn chart(times: &CallTimes) -> String {
    let chart = Chart::new(times);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Calls a second and latency over time\">\n"
    );
    chart.heading(
        &mut svg,
        RATE,
        "calls per second",
        &[("bar done", "done"), ("bar failed", "failed or refused")],
    );
    chart.grid(&mut svg, RATE, chart.rates);
    chart.heading(&mut svg, LATENCY, "latency in ms", &[("line mean", "mean"), ("line max", "max")]);
    chart.grid(&mut svg, LATENCY, chart.latencies);
    chart.time(&mut svg);
    chart.bars(&mut svg);
    chart.line(&mut svg, "max", |slot| slot.max);
    chart.line(&mut svg, "mean", |slot| slot.mean);
    chart.hints(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

struct Chart<'a> {
    times: &'a CallTimes,
    /// The width of a slot.
    step: f64,
    rates: Scale,
    latencies: Scale,
}

impl<'a> Chart<'a> {
    fn new(times: &'a CallTimes) -> Self {
        let calls = times.slots.iter().map(|slot| slot.calls).max().unwrap_or_default();
        let slowest = times.slots.iter().map(|slot| slot.max).max().unwrap_or_default();
        Self {
            times,
            step: (RIGHT - LEFT) / number(times.slots.len().max(1) as u64),
            rates: scale(rate(calls, times.slot_length)),
            latencies: scale(in_ms(slowest)),
        }
    }

    fn heading(&self, svg: &mut String, half: Half, title: &str, legend: &[(&str, &str)]) {
        let y = half.top - 14.0;
        let per = match self.times.slot_length {
            Duration::ZERO | SECOND => String::new(),
            length => format!(", each over {}", span(length.as_secs())),
        };
        svg.push_str(&format!("<text class=\"title\" x=\"{LEFT}\" y=\"{y}\">{title}{per}</text>\n"));
        let mut x = RIGHT;
        for (class, text) in legend.iter().rev() {
            // The approximate width of a letter.
            x -= 6.6 * number(text.len() as u64) + 18.0;
            let (swatch_y, text_x) = (y - 9.0, x + 16.0);
            svg.push_str(&if class.starts_with("bar") {
                format!(
                    "<rect class=\"{} swatch\" x=\"{x}\" y=\"{swatch_y}\" width=\"11\" height=\"10\"/>",
                    &class[4..]
                )
            } else {
                let y = y - 4.0;
                format!(
                    "<line class=\"{} swatch\" x1=\"{x}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>",
                    &class[5..],
                    x + 12.0
                )
            });
            svg.push_str(&format!("<text x=\"{text_x}\" y=\"{y}\">{text}</text>\n"));
            x -= 16.0;
        }
    }

    /// The horizontal grid lines with their values.
    #[allow(clippy::unused_self, reason = "a part of the drawing like the others")]
    fn grid(&self, svg: &mut String, half: Half, scale: Scale) {
        let mut value = 0.0;
        while value <= scale.max + scale.step / 2.0 {
            let y = half.bottom - half.height() * value / scale.max;
            let class = if value == 0.0 { "base" } else { "grid" };
            svg.push_str(&format!(
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"y\" x=\"{}\" y=\"{:.1}\">{}</text>\n",
                LEFT - 8.0,
                y + 4.0,
                label(value)
            ));
            value += scale.step;
        }
    }

    fn time(&self, svg: &mut String) {
        let slots = self.times.slots.len() as u64;
        let seconds = in_ms(self.times.slot_length) * number(slots) / 1_000.0;
        let step = TIME_STEPS.into_iter().find(|step| number(*step) * 10.0 >= seconds);
        // A run that takes weeks.
        let step = step.unwrap_or_else(|| (slots * millis::count(self.times.slot_length) / 10_000).max(1));
        let mut at = 0;
        while number(at) <= seconds {
            let x = LEFT + (RIGHT - LEFT) * number(at) / seconds.max(1.0);
            for Half { top, bottom } in [RATE, LATENCY] {
                svg.push_str(&format!(
                    "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"
                ));
            }
            svg.push_str(&format!(
                "<text class=\"x\" x=\"{x:.1}\" y=\"{}\">{}</text>\n",
                LATENCY.bottom + 18.0,
                if seconds < 7_200.0 { span(at) } else { hours(at) }
            ));
            at += step;
        }
        svg.push_str(&format!(
            "<text class=\"x\" x=\"{}\" y=\"{}\">time since the first call</text>\n",
            f64::midpoint(LEFT, RIGHT),
            HEIGHT - 10.0
        ));
    }

    /// The slots in which calls ended, each with its index.
    fn slots(&self) -> impl Iterator<Item = (u64, &CallSlot)> {
        (0..).zip(&self.times.slots).filter(|(_, slot)| slot.calls > 0)
    }

    fn middle(&self, at: u64) -> f64 {
        LEFT + self.step * (number(at) + 0.5)
    }

    fn bars(&self, svg: &mut String) {
        let width = if self.step > 4.0 { (self.step * 0.8).min(MAX_BAR) } else { self.step };
        let height = |calls: u64| RATE.height() * rate(calls, self.times.slot_length) / self.rates.max;
        for (at, slot) in self.slots() {
            let x = self.middle(at) - width / 2.0;
            let (done, failed) = (height(slot.calls.saturating_sub(slot.failed)), height(slot.failed));
            let mut foot = RATE.bottom;
            for (class, height) in [("done", done), ("failed", failed)] {
                if height > 0.0 {
                    // So that a single call among thousands is visible.
                    let height = height.max(1.0);
                    foot -= height;
                    svg.push_str(&format!(
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{foot:.1}\" width=\"{width:.1}\" \
                         height=\"{height:.1}\"/>"
                    ));
                }
            }
        }
        svg.push('\n');
    }

    /// A line through the slots in which calls ended, with gaps at the others.
    fn line(&self, svg: &mut String, class: &str, value: impl Fn(&CallSlot) -> Duration) {
        let place = |at: u64, slot: &CallSlot| {
            let y = LATENCY.bottom - LATENCY.height() * in_ms(value(slot)) / self.latencies.max;
            (self.middle(at), y)
        };
        let mut path = String::new();
        let mut last = None;
        for (at, slot) in self.slots() {
            let (x, y) = place(at, slot);
            let pen = if last.is_some_and(|last| last + 1 == at) { 'L' } else { 'M' };
            path.push_str(&format!("{pen}{x:.1} {y:.1}"));
            // A lone point is a line of length 0, drawn by its round ends.
            if pen == 'M' {
                path.push_str("h0");
            }
            last = Some(at);
        }
        svg.push_str(&format!("<path class=\"{class}\" d=\"{path}\"/>\n"));
        if self.times.slots.len() <= MAX_DOTS {
            for (at, slot) in self.slots() {
                let (x, y) = place(at, slot);
                svg.push_str(&format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"));
            }
            svg.push('\n');
        }
    }

    /// The tooltips of the slots.
    fn hints(&self, svg: &mut String) {
        for (at, slot) in self.slots() {
            let seconds = at * millis::count(self.times.slot_length) / 1_000;
            svg.push_str(&format!(
                "<rect class=\"hint\" x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"><title>{}: {} calls, {} \
                 failed or refused, mean {} ms, max {} ms</title></rect>\n",
                LEFT + self.step * number(at),
                RATE.top,
                self.step,
                LATENCY.bottom - RATE.top,
                span(seconds),
                with_thousands(slot.calls),
                with_thousands(slot.failed),
                with_thousands(millis::count(slot.mean)),
                with_thousands(millis::count(slot.max))
            ));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a drawing needs no more precision")]
fn number(count: u64) -> f64 {
    count as f64
}

fn in_ms(span: Duration) -> f64 {
    number(millis::count(span))
}

/// Calls a second.
fn rate(calls: u64, slot_length: Duration) -> f64 {
    number(calls) * 1_000.0 / in_ms(slot_length).max(1.0)
}

/// A scale that includes `max`, with round numbers.
fn scale(max: f64) -> Scale {
    let rough = (max / 4.0).max(0.05);
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
    Scale { max: (max / step).ceil().max(1.0) * step, step }
}

/// The label of a grid line: whole numbers with thousands separators, others without trailing zeros.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "axis values are small and not negative"
)]
fn label(value: f64) -> String {
    if value >= 10.0 || (value - value.round()).abs() < 1e-6 {
        return with_thousands(value.round() as u64);
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').to_owned()
}

/// A length of time: `45 s`, `1:30 min`, `2 h`, `2:15 h`.
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        120..=7_199 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => hours(seconds),
    }
}

fn hours(seconds: u64) -> String {
    match seconds % 3_600 / 60 {
        0 => format!("{} h", seconds / 3_600),
        minutes => format!("{}:{minutes:02} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        let top = |max| {
            let scale = scale(max);
            format!("{} by {}", label(scale.max), label(scale.step))
        };
        assert_eq!(top(0.0), "0.05 by 0.05");
        assert_eq!(top(1.0), "1 by 0.25");
        assert_eq!(top(7.0), "8 by 2");
        assert_eq!(top(100.0), "100 by 25");
        assert_eq!(top(12_345.0), "15,000 by 5,000");
    }

    #[test]
    fn times_are_shown_in_their_shortest_clear_form() {
        let spans = [0, 90, 150, 600, 7_200, 8_100].map(span);
        assert_eq!(spans, ["0 s", "90 s", "2:30 min", "10 min", "2 h", "2:15 h"]);
    }

    #[test]
    fn line_breaks_where_no_call_was_made() {
        let slot = |calls| CallSlot {
            calls,
            failed: 0,
            mean: Duration::from_millis(10),
            max: Duration::from_millis(20),
        };
        let times = CallTimes { slot_length: SECOND, slots: vec![slot(3), slot(2), slot(0), slot(1)] };
        let svg = chart(&times);
        let path = svg.lines().find(|line| line.starts_with("<path class=\"mean\"")).unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert_eq!(svg.matches("<rect class=\"done\"").count(), 3);
        assert_eq!(svg.matches("<rect class=\"failed\"").count(), 0);
    }
}
