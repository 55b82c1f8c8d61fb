//! A bar chart as an SVG text: groups of bars, each bar with its figure. It draws
//! what it is given.

use std::fmt::Write as _;

const WIDTH: usize = 720;
const ROW: usize = 26;
const LEFT: usize = 230;
const BARS: usize = 360;

/// A titled group of bars; lengths are relative to the longest of the group.
#[derive(Clone, Debug)]
pub struct Group {
    pub title: String,
    pub bars: Vec<(String, f64)>,
}

/// The whole chart.
pub fn bars(title: &str, groups: &[Group]) -> String {
    let rows: usize = groups.iter().map(|group| group.bars.len() + 2).sum();
    let height = 40 + rows * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    let mut y = 40 + ROW;
    for group in groups {
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{y}\" font-weight=\"bold\">{}</text>",
            escape(&group.title)
        );
        let most = group.bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
        for (at, (name, value)) in group.bars.iter().enumerate() {
            y += ROW;
            let long = (value / most * BARS as f64).max(1.0);
            let fill = if at == 0 { "#2166ac" } else { "#b0b8c0" };
            let (name, figure, top, end) =
                (escape(name), figure(*value), y - 14, LEFT as f64 + long + 6.0);
            let _ = writeln!(svg, "<text x=\"28\" y=\"{y}\">{name}</text>");
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{long:.1}\" height=\"18\" fill=\"{fill}\"/>"
            );
            let _ = writeln!(svg, "<text x=\"{end:.1}\" y=\"{y}\">{figure}</text>");
        }
        y += 2 * ROW;
    }
    svg.push_str("</svg>\n");
    svg
}

fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_as_long_as_there_is_room_and_texts_are_escaped() {
        let bars_of = vec![("a < b".to_owned(), 50.0), ("c".to_owned(), 100.0)];
        let svg = bars("T", &[Group { title: "G & H".to_owned(), bars: bars_of }]);
        assert!(svg.contains("width=\"360.0\"") && svg.contains("width=\"180.0\""));
        assert!(svg.contains("a &lt; b") && svg.contains("G &amp; H"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
