//! Calendar dates from milliseconds since the Unix epoch, in UTC: for what people
//! and other systems read. No decision is made on them.

/// A moment as the calendar names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    pub year: i64,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub milli: u16,
}

const MS_PER_DAY: u64 = 86_400_000;

impl Civil {
    /// Days to dates after Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub const fn of_epoch_ms(epoch_ms: u64) -> Civil {
        let days = (epoch_ms / MS_PER_DAY) as i64 + 719_468;
        let in_day = epoch_ms % MS_PER_DAY;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: year_of_era + era * 400 + if month <= 2 { 1 } else { 0 },
            month: month as u8,
            day: (day_of_year - (153 * from_march + 2) / 5 + 1) as u8,
            hour: (in_day / 3_600_000) as u8,
            minute: (in_day / 60_000 % 60) as u8,
            second: (in_day / 1_000 % 60) as u8,
            milli: (in_day % 1_000) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let cases = [
            (0, (1970, 1, 1, 0, 0, 0, 0)),
            (951_782_399_999, (2000, 2, 28, 23, 59, 59, 999)),
            (951_782_400_000, (2000, 2, 29, 0, 0, 0, 0)),
            (1_795_262_461_001, (2026, 11, 21, 12, 1, 1, 1)),
            (4_107_542_400_000, (2100, 3, 1, 0, 0, 0, 0)),
        ];
        for (ms, (year, month, day, hour, minute, second, milli)) in cases {
            let wanted = Civil { year, month, day, hour, minute, second, milli };
            assert_eq!(Civil::of_epoch_ms(ms), wanted, "{ms}");
        }
    }
}
