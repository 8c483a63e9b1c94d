//! What a page is made of: sections of charts, tables and words.

use std::fmt::Display;

use askama::Template;
use askama::filters::HtmlSafe;

use super::chart::Chart;

/// A part of the page under a heading.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(super) enum Block {
    Charts(Vec<Drawing>),
    Tables(Vec<Table>),
    /// A table that is opened when it is wanted.
    Folded(String, Table),
    /// What must not be overlooked.
    Warning(String),
    Note(String),
    Facts(Vec<(&'static str, String)>),
    List(Vec<String>),
}

/// A chart, or why there is none.
#[derive(Debug)]
pub(super) enum Drawing {
    Chart(Box<Chart>),
    Missing(&'static str, String),
}

/// Figures in rows; the first column names the row.
#[derive(Debug, Template)]
#[template(path = "table.html")]
pub(super) struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// Its own template escapes it.
impl HtmlSafe for Table {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// Set to the left, and may be broken into lines.
    Text(&'static str),
    Figure(&'static str),
}

impl From<Chart> for Drawing {
    fn from(chart: Chart) -> Self {
        Self::Chart(Box::new(chart))
    }
}

impl Column {
    fn label(self) -> &'static str {
        match self {
            Self::Text(label) | Self::Figure(label) => label,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Figure(_) => "figure",
        }
    }
}

impl Table {
    pub(super) fn new(caption: impl Into<String>, columns: &[Column]) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: as many cells as there are columns.
    pub(super) fn row<const CELLS: usize>(mut self, cells: [&dyn Display; CELLS]) -> Self {
        debug_assert_eq!(CELLS, self.columns.len(), "{}", self.caption);
        self.rows.push(cells.map(ToString::to_string).to_vec());
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each cell with its column.
    fn cells<'a>(&'a self, row: &'a [String]) -> impl Iterator<Item = (&'a Column, &'a String)> {
        self.columns.iter().zip(row)
    }
}
