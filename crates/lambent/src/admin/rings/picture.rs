//! A ring version drawn: as a circle of letters in a terminal, as a coloured circle
//! in an SVG file. Each mark is an equal part of the ring, and shows its owner.

use std::{f64::consts::TAU, fmt::Write};

use super::{Version, percent};

/// Columns and rows of the circle of letters; a character is twice as high as wide.
const ROWS: usize = 19;
const COLUMNS: usize = 2 * ROWS;
const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Where the middle of a part is, from the centre, with a radius of one: the first
/// part is at the top, the others follow clockwise.
fn place(part: f64, parts: usize) -> (f64, f64) {
    let angle = TAU * part / parts.max(1) as f64;
    (angle.sin(), -angle.cos())
}

fn letter(at: usize) -> char {
    char::from(LETTERS[at % LETTERS.len()])
}

fn number_of(version: &Version, manager: u64) -> usize {
    version.shares.iter().position(|share| share.manager == manager).unwrap_or_default()
}

pub(super) fn text(version: &Version) -> String {
    let mut cells = vec![vec![' '; COLUMNS]; ROWS];
    let (middle_x, middle_y) = ((COLUMNS - 1) as f64 / 2.0, (ROWS - 1) as f64 / 2.0);
    for (at, manager) in version.parts.iter().enumerate() {
        let (x, y) = place(at as f64 + 0.5, version.parts.len());
        let column = (middle_x + x * middle_x).round() as usize;
        let row = (middle_y + y * middle_y).round() as usize;
        cells[row][column] = letter(number_of(version, *manager));
    }
    let mut text = String::new();
    for row in cells {
        let row: String = row.into_iter().collect();
        text.push_str(row.trim_end());
        text.push('\n');
    }
    for (at, share) in version.shares.iter().enumerate() {
        let part = percent(share.share, 1_000_000);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} manager {}: {part}", letter(at), share.manager);
    }
    text
}

pub(super) fn svg(version: &Version) -> String {
    let parts = version.parts.len();
    let legend = 24 * version.shares.len();
    let height = 460.max(80 + legend);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"680\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"230\" y=\"226\" text-anchor=\"middle\">version {}</text>\n\
         <text x=\"230\" y=\"246\" text-anchor=\"middle\">{}, {} of the keys</text>\n",
        version.v,
        version.state,
        percent(u64::from(version.key_share), 10_000),
    );
    for (at, manager) in version.parts.iter().enumerate() {
        let colour = colour(number_of(version, *manager), version.shares.len());
        let point = |part: f64, radius: f64| {
            let (x, y) = place(part, parts);
            format!("{:.2} {:.2}", 230.0 + x * radius, 230.0 + y * radius)
        };
        let (from, to) = (at as f64, at as f64 + 1.0);
        let _ = writeln!(
            svg,
            "<path d=\"M {} A 200 200 0 0 1 {} L {} A 130 130 0 0 0 {} Z\" fill=\"{colour}\"/>",
            point(from, 200.0),
            point(to, 200.0),
            point(to, 130.0),
            point(from, 130.0),
        );
    }
    for (at, share) in version.shares.iter().enumerate() {
        let (y, colour) = (40 + 24 * at, colour(at, version.shares.len()));
        let _ = writeln!(
            svg,
            "<rect x=\"470\" y=\"{y}\" width=\"16\" height=\"16\" fill=\"{colour}\"/>\
             <text x=\"494\" y=\"{}\">manager {}: {}</text>",
            y + 13,
            share.manager,
            percent(share.share, 1_000_000),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// As far apart on the colour circle as so many can be.
fn colour(at: usize, of: usize) -> String {
    format!("hsl({}, 65%, 55%)", 360 * at / of.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::rings::tests::version;

    #[test]
    fn the_circle_shows_every_owner_clockwise_from_the_top() {
        let text = text(&version());
        let circle: Vec<&str> = text.lines().take(ROWS).collect();
        let count = |letter| circle.iter().map(|row| row.matches(letter).count()).sum::<usize>();
        assert_eq!((count('A'), count('B')), (3, 3));
        // The parts on the right, from the top down, are 4, 4, 5.
        let right = |row: &&str| row.char_indices().rfind(|(at, _)| *at > COLUMNS / 2);
        let right: String = circle.iter().filter_map(right).map(|(_, letter)| letter).collect();
        assert_eq!(right, "AAB");
        assert!(text.ends_with("A manager 4: 49.80 %\nB manager 5: 50.20 %\n"), "{text}");
    }

    #[test]
    fn the_drawing_has_a_path_for_each_part_and_a_line_for_each_manager() {
        let svg = svg(&version());
        assert_eq!(svg.matches("<path ").count(), 6);
        assert_eq!(svg.matches("manager ").count(), 2);
        assert!(svg.contains("Baking, 5.00 % of the keys"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
