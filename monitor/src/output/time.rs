//! Time in the output: nanoseconds since boot to RFC 3339, without a look at any clock.

const NANOS: i64 = 1_000_000_000;

/// How boot time relates to the calendar. Read once by whoever may look at clocks, then a plain value, so
/// that formats and replay give the same output for the same records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Nanoseconds since the epoch at boot: `CLOCK_REALTIME - CLOCK_BOOTTIME`.
    pub boot_to_epoch_ns: i64,
}

/// A moment in UTC, split for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Year; between 1677 and 2846 for what [`Clock::at`] can give.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Nanosecond, 0 to 999,999,999.
    pub nano: u32,
}

impl Clock {
    /// Looks at the two clocks. Only for the edge: formats take the value.
    pub fn now() -> Self {
        let ns = |t: rustix::time::Timespec| t.tv_sec.saturating_mul(1_000_000_000).saturating_add(t.tv_nsec);
        let real = ns(rustix::time::clock_gettime(rustix::time::ClockId::Realtime));
        let boot = ns(rustix::time::clock_gettime(rustix::time::ClockId::Boottime));
        Self { boot_to_epoch_ns: real.saturating_sub(boot) }
    }

    /// The moment `boot_ns` nanoseconds after boot.
    pub fn at(self, boot_ns: u64) -> Utc {
        let (seconds, nano) = self.split(boot_ns);
        let of_day = seconds.rem_euclid(86_400);
        let (year, month, day) = civil(seconds.div_euclid(86_400));
        Utc {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            nano,
        }
    }

    /// Seconds since the epoch, and the nanoseconds of that second.
    fn split(self, boot_ns: u64) -> (i64, u32) {
        match i64::try_from(boot_ns).ok().and_then(|ns| ns.checked_add(self.boot_to_epoch_ns)) {
            Some(ns) => (ns.div_euclid(NANOS), ns.rem_euclid(NANOS) as u32),
            None => {
                let ns = i128::from(boot_ns) + i128::from(self.boot_to_epoch_ns);
                let seconds = ns.div_euclid(NANOS.into());
                (i64::try_from(seconds).unwrap_or(0), ns.rem_euclid(NANOS.into()) as u32)
            }
        }
    }

    /// Appends the moment as RFC 3339 with nanoseconds: `2026-11-23T20:30:00.123456789Z`.
    pub fn rfc3339(self, boot_ns: u64, out: &mut Vec<u8>) {
        let Utc { year, month, day, hour, minute, second, nano } = self.at(boot_ns);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let year = year.clamp(0, 9999) as u32;
        pair(&mut text, 0, year / 100);
        pair(&mut text, 2, year);
        for (at, number) in [(5, month), (8, day), (11, hour), (14, minute), (17, second)] {
            pair(&mut text, at, number.into());
        }
        let micro = nano / 1000;
        pair(&mut text, 20, micro / 10_000);
        pair(&mut text, 22, micro / 100);
        pair(&mut text, 24, micro);
        pair(&mut text, 26, nano / 10);
        text[28] = b'0' + (nano % 10) as u8;
        out.extend_from_slice(&text);
    }
}

/// Writes the last two digits of a number at `at`.
#[inline]
fn pair(text: &mut [u8; 30], at: usize, number: u32) {
    const PAIRS: [[u8; 2]; 100] = {
        let mut pairs = [[0; 2]; 100];
        let mut n = 0;
        while n < 100 {
            pairs[n] = [b'0' + n as u8 / 10, b'0' + n as u8 % 10];
            n += 1;
        }
        pairs
    };
    let [tens, ones] = PAIRS[(number % 100) as usize];
    text[at] = tens;
    text[at + 1] = ones;
}

/// Days since 1970-01-01 to year, month and day of the Gregorian calendar, counted in 400-year eras that
/// begin on a 1st of March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, u8, u8) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(epoch_ns: i64, boot_ns: u64, want: &str) {
        let mut out = Vec::new();
        Clock { boot_to_epoch_ns: epoch_ns }.rfc3339(boot_ns, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn known_moments() {
        check(0, 0, "1970-01-01T00:00:00.000000000Z");
        check(1_582_934_400_000_000_000, 1, "2020-02-29T00:00:00.000000001Z");
        check(951_868_799_000_000_000, 999_999_999, "2000-02-29T23:59:59.999999999Z");
        check(4_107_542_399_000_000_000, 1_000_000_000, "2100-03-01T00:00:00.000000000Z");
        check(1_795_465_800_000_000_000, 123_456_789, "2026-11-23T20:30:00.123456789Z");
    }

    #[test]
    fn extremes_stay_dates() {
        check(-1, 0, "1969-12-31T23:59:59.999999999Z");
        check(i64::MIN, 0, "1677-09-21T00:12:43.145224192Z");
        check(i64::MAX, u64::MAX, "2846-10-30T23:21:50.564327422Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(-200_001);
        for days in -200_000..200_000 {
            let (y, m, d) = civil(days);
            let next = d == last.2 + 1 && (y, m) == (last.0, last.1);
            let first =
                d == 1 && ((m == last.1 + 1 && y == last.0) || (m == 1 && last.1 == 12 && y == last.0 + 1));
            assert!(next || first, "{last:?} then {:?}", (y, m, d));
            last = (y, m, d);
        }
    }
}
