//! Puts generated text between two marker lines of a document.

/// `text` with `table` between the marker lines `<!-- {name}:begin -->` and `<!-- {name}:end -->`, in place of
/// what stood there.
pub fn splice(text: &str, name: &str, table: &str) -> Result<String, String> {
    let [begin, end] = ["begin", "end"].map(|which| format!("<!-- {name}:{which} -->"));
    let missing = |marker: &str| format!("there is no line `{marker}`");
    let (before, rest) = split_at_line(text, &begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = split_at_line(rest, &end).ok_or_else(|| missing(&end))?;
    // The blank lines keep Markdown from taking the table for a part of the HTML comment.
    Ok(format!("{before}{begin}\n\n{}\n\n{end}\n{after}", table.trim()))
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
