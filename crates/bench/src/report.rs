//! What a run says: rows of ours beside a floor, as an aligned table for people
//! and as JSON lines for programs. It prints what it is given and measures nothing.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use serde_json::{Value, json};

use crate::sample::{Samples, Spread};

/// One measure. `ours` is missing where a row shows a floor by itself.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) measure: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Option<f64>,
    pub(crate) floor: Option<f64>,
    /// What the floor is, or what has to be known about the row.
    pub(crate) note: String,
    pub(crate) spread: Option<Spread>,
}

impl Row {
    /// Medians of ours and of the floor, and the spread of ours.
    pub(crate) fn medians(
        group: &'static str,
        measure: impl Into<String>,
        unit: &'static str,
        ours: &Samples,
        floor: Option<&Samples>,
        note: impl Into<String>,
    ) -> Row {
        let spread = ours.spread();
        Row {
            group,
            measure: measure.into(),
            unit,
            ours: spread.map(|spread| spread.median),
            floor: floor.and_then(Samples::median),
            note: note.into(),
            spread,
        }
    }

    /// A floor by itself, with its spread.
    pub(crate) fn floor(
        group: &'static str,
        measure: impl Into<String>,
        unit: &'static str,
        floor: &Samples,
        note: impl Into<String>,
    ) -> Row {
        let row = Row::medians(group, measure, unit, floor, None, note);
        Row { floor: row.ours, ours: None, ..row }
    }

    /// One figure that is read, not sampled.
    pub(crate) fn single(
        group: &'static str,
        measure: impl Into<String>,
        unit: &'static str,
        ours: f64,
        note: impl Into<String>,
    ) -> Row {
        Row {
            group,
            measure: measure.into(),
            unit,
            ours: Some(ours),
            floor: None,
            note: note.into(),
            spread: None,
        }
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, floor) = (self.ours?, self.floor?);
        (floor > 0.0).then(|| ours / floor)
    }

    fn cells(&self) -> [String; 12] {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), digits);
        let of = |pick: fn(&Spread) -> f64| figure(self.spread.as_ref().map(pick));
        [
            self.group.to_owned(),
            self.measure.clone(),
            self.unit.to_owned(),
            figure(self.ours),
            figure(self.floor),
            self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            self.spread.map_or(1, |spread| spread.runs).to_string(),
            of(|s| s.min),
            of(|s| s.median),
            of(|s| s.p99),
            of(|s| s.max),
            self.note.clone(),
        ]
    }

    fn json(&self) -> Value {
        let spread = self.spread;
        json!({
            "row": self.group,
            "measure": self.measure,
            "unit": self.unit,
            "ours": self.ours,
            "floor": self.floor,
            "ratio": self.ratio(),
            "runs": spread.map_or(1, |s| s.runs),
            "min": spread.map(|s| s.min),
            "median": spread.map(|s| s.median),
            "p99": spread.map(|s| s.p99),
            "max": spread.map(|s| s.max),
            "note": self.note,
        })
    }
}

/// Three significant digits, and no more than two decimals.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const HEAD: [&str; 12] = [
    "row",
    "measure",
    "unit",
    "ours",
    "floor",
    "ratio",
    "runs",
    "min",
    "median",
    "p99",
    "max",
    "floor, remarks",
];
/// Words stand left, figures right.
const LEFT: [usize; 4] = [0, 1, 2, 11];

pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 12] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 1 && line[0] != lines[number - 1][0] {
            text.push('\n');
        }
        let mut laid = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            let _ = match LEFT.contains(&column) {
                true => write!(laid, "{cell:<width$}  "),
                false => write!(laid, "{cell:>width$}  "),
            };
        }
        text.push_str(laid.trim_end());
        text.push('\n');
    }
    text
}

/// The machine first, then a line per row.
pub(crate) fn write_lines(path: &Path, machine: &Value, rows: &[Row]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "{}", json!({ "machine": machine }))?;
    for row in rows {
        writeln!(out, "{}", row.json())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let ours: Samples = [10.0, 20.0, 30.0].into_iter().collect();
        let floor: Samples = [5.0].into_iter().collect();
        Row::medians("warm", "python", "µs", &ours, Some(&floor), "health")
    }

    #[test]
    fn a_row_is_ours_over_floor() {
        assert_eq!(row().ratio(), Some(4.0));
        let alone = Row { floor: None, ..row() };
        assert_eq!(alone.ratio(), None);
        let json = row().json();
        assert_eq!((json["ours"].as_f64(), json["runs"].as_u64()), (Some(20.0), Some(3)));
    }

    #[test]
    fn columns_are_aligned_and_groups_are_apart() {
        let other = Row { group: "cold", measure: "a longer measure".into(), ..row() };
        let text = table(&[row(), other]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2], "");
        let column = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
        assert_eq!(column(lines[0], "unit"), column(lines[1], "µs"));
        assert_eq!(column(lines[1], "health"), column(lines[3], "health"));
    }

    #[test]
    fn figures_keep_three_digits() {
        let cases =
            [(0.123, "0.12"), (9.999, "10.0"), (12.34, "12.3"), (99.96, "100"), (12345.6, "12346")];
        for (value, text) in cases {
            assert_eq!(digits(value), text);
        }
    }
}
