//! Hourly bars from CSV files: one perpetual per `SYMBOL-1h.csv`.
//!
//! Every fault names file, line and rule; nothing is repaired or skipped.

use std::fs;
use std::path::{Path, PathBuf};

use csv::StringRecord;
use thiserror::Error;

use crate::decimal::Decimal;

/// Row 0 of the table is the quote asset's; 1,024 rows in all.
pub const MAX_FILES: usize = 1023;
pub const BAR_MS: u64 = 3_600_000;
const SUFFIX: &str = "-1h.csv";
const COLUMNS: [&str; 6] = ["open_time_ms", "open", "high", "low", "close", "volume"];
const QUOTES: [&str; 3] = ["USDT", "USDC", "USD"];
/// Times have 40 bits in seconds.
const MAX_TIME_MS: u64 = (1 << 40) * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub open_time_ms: u64,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
}

/// The bars of one instrument, an hour apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub symbol: String,
    pub bars: Vec<Bar>,
}

#[derive(Debug, Error)]
#[error("{}{}: [{}] {rule}", file.display(), line_suffix(*line), rule.code())]
pub struct KlineError {
    pub file: PathBuf,
    /// 1 is the header; none where the fault is not in a line.
    pub line: Option<u64>,
    pub rule: Rule,
}

fn line_suffix(line: Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

/// What a file must be.
#[derive(Debug, Error)]
pub enum Rule {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("no file here is named SYMBOL{SUFFIX}")]
    NoFiles,
    #[error("{found} files, at most {MAX_FILES} are allowed")]
    TooManyFiles { found: usize },
    #[error("unknown symbol {symbol:?}: {why}")]
    UnknownSymbol { symbol: String, why: &'static str },
    #[error("column {column} is missing")]
    MissingColumn { column: &'static str },
    #[error("not a CSV record: {why}")]
    Malformed { why: String },
    #[error("{column} is {text:?}, which is no plain decimal number")]
    NotANumber { column: &'static str, text: String },
    #[error("{column} is {text}, a price must be above zero")]
    NotPositive { column: &'static str, text: String },
    #[error("high is below low")]
    HighBelowLow,
    #[error("{column} is outside low and high")]
    OutsideRange { column: &'static str },
    #[error("time goes back or stands: {time} after {previous}")]
    Reversal { previous: u64, time: u64 },
    #[error("bars are an hour apart, but {time} follows {previous}")]
    Gap { previous: u64, time: u64 },
    #[error("no bars")]
    NoBars,
    #[error("bars from {first} to {last}, but {other} has them from {other_first} to {other_last}")]
    DifferentRange {
        first: u64,
        last: u64,
        other: String,
        other_first: u64,
        other_last: u64,
    },
}

impl Rule {
    /// A stable name, for messages and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "klines.unreadable",
            Self::NoFiles => "klines.no_files",
            Self::TooManyFiles { .. } => "klines.too_many_files",
            Self::UnknownSymbol { .. } => "klines.unknown_symbol",
            Self::MissingColumn { .. } => "klines.missing_column",
            Self::Malformed { .. } => "klines.malformed",
            Self::NotANumber { .. } => "klines.not_a_number",
            Self::NotPositive { .. } => "klines.not_positive",
            Self::HighBelowLow => "klines.high_below_low",
            Self::OutsideRange { .. } => "klines.outside_range",
            Self::Reversal { .. } => "klines.reversal",
            Self::Gap { .. } => "klines.gap",
            Self::NoBars => "klines.no_bars",
            Self::DifferentRange { .. } => "klines.different_range",
        }
    }

    fn at(self, file: &Path, line: Option<u64>) -> KlineError {
        KlineError {
            file: file.to_path_buf(),
            line,
            rule: self,
        }
    }
}

/// Every `*-1h.csv` in `dir`, by symbol; only `symbols` where some are named.
pub fn load(dir: &Path, symbols: &[String]) -> Result<Vec<Series>, KlineError> {
    let mut files = list(dir)?;
    if files.len() > MAX_FILES {
        return Err(Rule::TooManyFiles { found: files.len() }.at(dir, None));
    }
    if files.is_empty() {
        return Err(Rule::NoFiles.at(dir, None));
    }
    for symbol in symbols {
        if !files.iter().any(|(found, _)| found == symbol) {
            let why = "no file of this name";
            return Err(Rule::UnknownSymbol {
                symbol: symbol.clone(),
                why,
            }
            .at(dir, None));
        }
    }
    files.retain(|(symbol, _)| symbols.is_empty() || symbols.contains(symbol));
    let mut all: Vec<Series> = Vec::new();
    for (symbol, path) in files {
        let series = Series {
            bars: read(&path)?,
            symbol,
        };
        if let Some(first) = all.first() {
            same_range(first, &series).map_err(|rule| rule.at(&path, None))?;
        }
        all.push(series);
    }
    Ok(all)
}

fn list(dir: &Path) -> Result<Vec<(String, PathBuf)>, KlineError> {
    let unreadable = |error: std::io::Error| Rule::Unreadable(error).at(dir, None);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(symbol) = name.strip_suffix(SUFFIX) else {
            continue;
        };
        if let Some(why) = symbol_fault(symbol) {
            return Err(Rule::UnknownSymbol {
                symbol: symbol.into(),
                why,
            }
            .at(&path, None));
        }
        files.push((symbol.to_string(), path));
    }
    files.sort();
    Ok(files)
}

fn symbol_fault(symbol: &str) -> Option<&'static str> {
    if !symbol
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    {
        return Some("capital letters and digits only");
    }
    if symbol.len() > 20 {
        return Some("at most 20 characters");
    }
    let has_base = QUOTES
        .iter()
        .any(|q| symbol.strip_suffix(q).is_some_and(|b| !b.is_empty()));
    (!has_base).then_some("a base and a quote of USDT, USDC or USD")
}

fn read(path: &Path) -> Result<Vec<Bar>, KlineError> {
    let file = fs::File::open(path).map_err(|error| Rule::Unreadable(error).at(path, None))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(file);
    let mut columns: Option<[usize; 6]> = None;
    let mut bars: Vec<Bar> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map(csv::Position::line);
            Rule::Malformed {
                why: error.to_string(),
            }
            .at(path, line)
        })?;
        let line = record.position().map(csv::Position::line);
        let result = match &columns {
            None => header(&record).map(|found| columns = Some(found)),
            Some(columns) => bar(&record, columns, bars.last()).map(|bar| bars.push(bar)),
        };
        result.map_err(|rule| rule.at(path, line))?;
    }
    match bars.is_empty() {
        true => Err(Rule::NoBars.at(path, None)),
        false => Ok(bars),
    }
}

fn header(record: &StringRecord) -> Result<[usize; 6], Rule> {
    let mut places = [0; 6];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = record.iter().position(|name| name == column);
        *place = found.ok_or(Rule::MissingColumn { column })?;
    }
    Ok(places)
}

fn bar(record: &StringRecord, columns: &[usize; 6], last: Option<&Bar>) -> Result<Bar, Rule> {
    let text = |at: usize| record.get(columns[at]).unwrap_or_default();
    let fault = |at: usize| Rule::NotANumber {
        column: COLUMNS[at],
        text: text(at).into(),
    };
    let time: u64 = text(0).parse().map_err(|_| fault(0))?;
    if time >= MAX_TIME_MS {
        return Err(fault(0));
    }
    let price = |at: usize| {
        let magnitude = text(at).strip_prefix('-').unwrap_or(text(at));
        let value = Decimal::parse(magnitude).ok_or_else(|| fault(at))?;
        match value.is_zero() || magnitude.len() < text(at).len() {
            true => Err(Rule::NotPositive {
                column: COLUMNS[at],
                text: text(at).into(),
            }),
            false => Ok(value),
        }
    };
    let bar = Bar {
        open_time_ms: time,
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
    };
    Decimal::parse(text(5)).ok_or_else(|| fault(5))?;
    check(&bar, last)?;
    Ok(bar)
}

fn check(bar: &Bar, last: Option<&Bar>) -> Result<(), Rule> {
    if bar.high < bar.low {
        return Err(Rule::HighBelowLow);
    }
    for (column, price) in [("open", bar.open), ("close", bar.close)] {
        if price < bar.low || price > bar.high {
            return Err(Rule::OutsideRange { column });
        }
    }
    let Some(last) = last else { return Ok(()) };
    let (previous, time) = (last.open_time_ms, bar.open_time_ms);
    if time <= previous {
        return Err(Rule::Reversal { previous, time });
    }
    match time - previous == BAR_MS {
        true => Ok(()),
        false => Err(Rule::Gap { previous, time }),
    }
}

fn same_range(one: &Series, two: &Series) -> Result<(), Rule> {
    let range = |series: &Series| {
        let time = |bar: Option<&Bar>| bar.map(|bar| bar.open_time_ms).unwrap_or_default();
        (time(series.bars.first()), time(series.bars.last()))
    };
    let ((other_first, other_last), (first, last)) = (range(one), range(two));
    match (other_first, other_last) == (first, last) {
        true => Ok(()),
        false => Err(Rule::DifferentRange {
            first,
            last,
            other: one.symbol.clone(),
            other_first,
            other_last,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "open_time_ms,open,high,low,close,volume\n";

    fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn fault_of(body: &str) -> (String, Option<u64>, &'static str) {
        let dir = dir_with(&[("AUSDT-1h.csv", body)]);
        let error = load(dir.path(), &[]).unwrap_err();
        assert!(error.to_string().contains(error.rule.code()));
        let file = error
            .file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        (file, error.line, error.rule.code())
    }

    #[test]
    fn reads_columns_in_any_order() {
        let body = "volume,open,high,low,close,extra,open_time_ms\n1.5,2,3,1,2.5,x,3600000\n";
        let dir = dir_with(&[("AUSDT-1h.csv", body), ("notes.txt", "")]);
        let all = load(dir.path(), &[]).unwrap();
        assert_eq!((all[0].symbol.as_str(), all[0].bars.len()), ("AUSDT", 1));
        assert_eq!(all[0].bars[0].close, Decimal::new(25, 1));
    }

    #[test]
    fn each_fault_names_file_line_and_rule() {
        let cases = [
            (
                "open_time_ms,open,high,low,volume\n",
                Some(1),
                "klines.missing_column",
            ),
            ("0,1,1,1,1,1\n0,1,1\n", Some(3), "klines.malformed"),
            (
                "0,1,1,1,1,1\n3600000,1,one,1,1,1\n",
                Some(3),
                "klines.not_a_number",
            ),
            ("x,1,1,1,1,1\n", Some(2), "klines.not_a_number"),
            ("0,1,1,1,1,many\n", Some(2), "klines.not_a_number"),
            ("0,1,1,0,1,1\n", Some(2), "klines.not_positive"),
            ("0,1,1,1,-1,1\n", Some(2), "klines.not_positive"),
            ("0,1,1,2,1,1\n", Some(2), "klines.high_below_low"),
            ("0,1,3,2,2,1\n", Some(2), "klines.outside_range"),
            ("0,1,1,1,1,1\n0,1,1,1,1,1\n", Some(3), "klines.reversal"),
            ("0,1,1,1,1,1\n7200000,1,1,1,1,1\n", Some(3), "klines.gap"),
            ("", None, "klines.no_bars"),
        ];
        for (body, line, code) in cases {
            let with_header = match code {
                "klines.missing_column" => body.to_string(),
                _ => format!("{HEADER}{body}"),
            };
            assert_eq!(fault_of(&with_header), ("AUSDT-1h.csv".into(), line, code));
        }
    }

    #[test]
    fn faults_of_the_directory() {
        let code = |dir: &tempfile::TempDir, symbols: &[String]| {
            load(dir.path(), symbols).unwrap_err().rule.code()
        };
        assert_eq!(code(&dir_with(&[]), &[]), "klines.no_files");
        let row = format!("{HEADER}0,1,1,1,1,1\n");
        let later = format!("{HEADER}3600000,1,1,1,1,1\n");
        let apart = dir_with(&[("AUSDT-1h.csv", &row), ("BUSDT-1h.csv", &later)]);
        assert_eq!(code(&apart, &[]), "klines.different_range");
        assert_eq!(code(&apart, &["CUSDT".into()]), "klines.unknown_symbol");
        assert_eq!(load(apart.path(), &["BUSDT".into()]).unwrap().len(), 1);
        assert_eq!(
            code(&dir_with(&[("what-1h.csv", &row)]), &[]),
            "klines.unknown_symbol"
        );
        let many = dir_with(&[]);
        for number in 0..=MAX_FILES {
            fs::write(many.path().join(format!("A{number}USDT-1h.csv")), "").unwrap();
        }
        assert_eq!(code(&many, &[]), "klines.too_many_files");
        let missing = many.path().join("none");
        assert_eq!(
            load(&missing, &[]).unwrap_err().rule.code(),
            "klines.unreadable"
        );
    }
}
