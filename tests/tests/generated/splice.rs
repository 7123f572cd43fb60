//! Puts generated text between two marker lines of a document.

const BEGIN: &str = "<!-- catalogue:begin -->";
const END: &str = "<!-- catalogue:end -->";

/// `text` with `table` between the two marker lines, in place of what stood there.
pub fn splice(text: &str, table: &str) -> Result<String, String> {
    let missing = |marker: &str| format!("there is no line `{marker}`");
    let (before, rest) = split_at_line(text, BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = split_at_line(rest, END).ok_or_else(|| missing(END))?;
    // The blank lines keep Markdown from taking the table for a part of the HTML comment.
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}\n{after}", table.trim()))
}

/// What stands before and after the first line that is `marker`.
fn split_at_line<'a>(text: &'a str, marker: &str) -> Option<(&'a str, &'a str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == marker {
            return Some((&text[..start], &text[start + line.len()..]));
        }
        start += line.len();
    }
    None
}
