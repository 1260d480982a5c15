package event

import "time"

// The times an event can have: the years 0 to 9999, which is what RFC 3339 can
// say, in milliseconds since the Unix epoch.
const (
	minTS = -62_167_219_200_000
	maxTS = 253_402_300_799_999
)

// parseMillis reads a JSON number that is an integer of at most 18 digits.
func parseMillis(s string) (int64, bool) {
	negative := s != "" && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// parseRFC3339 reads a time by RFC 3339 section 5.6 into milliseconds since the
// Unix epoch, dropping what is finer. It is several times quicker than
// time.Parse, takes any number of fractional digits, a space for the T and lower
// case (both of which the RFC leaves open), and a leap second, which is counted
// as the second after it.
func parseRFC3339(s string) (int64, bool) {
	//            0123456789
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' ||
		s[10]|0x20 != 't' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, ok1 := twoDigits(s, 0)
	year, ok2 := twoDigits(s, 2)
	month, ok3 := twoDigits(s, 5)
	day, ok4 := twoDigits(s, 8)
	hour, ok5 := twoDigits(s, 11)
	minute, ok6 := twoDigits(s, 14)
	second, ok7 := twoDigits(s, 17)
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) {
		return 0, false
	}
	year += century * 100
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	i, millis := 19, 0
	if s[i] == '.' {
		unit := 100
		for i++; i < len(s) && isDigit(s[i]); i++ {
			millis += int(s[i]-'0') * unit
			unit /= 10
		}
		if i == 20 {
			return 0, false
		}
	}
	offset, ok := parseOffset(s[i:])
	if !ok {
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + int64(hour*3600+minute*60+second) - int64(offset)*60
	return seconds*1000 + int64(millis), true
}

// parseOffset reads Z or ±hh:mm into minutes east of UTC.
func parseOffset(s string) (int, bool) {
	if len(s) == 1 {
		return 0, s[0]|0x20 == 'z'
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, ok1 := twoDigits(s, 1)
	minutes, ok2 := twoDigits(s, 4)
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	minutes += hours * 60
	if s[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

func twoDigits(s string, i int) (int, bool) {
	a, b := s[i]-'0', s[i+1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 in the Gregorian calendar
// (days_from_civil of Howard Hinnant's chrono-Compatible Low-Level Date
// Algorithms), for years from 0.
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
	}
	year += 400 // so that nothing below is negative
	era, yearOfEra := year/400, year%400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era-1)*146_097 + int64(dayOfEra) - 719_468
}

// appendTime writes ms the way Fill fills it in.
func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
