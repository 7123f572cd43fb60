//! The frame of the HTML page: style, script, and small parts. Nothing is loaded from elsewhere.

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A whole page.
pub fn page(title: &str, lead: &str, chips: &[(String, String)], body: &str, data: &str) -> String {
    let chip = |(name, value): &(String, String)| {
        format!("<li><span>{}</span> {}</li>", escape(name), escape(value))
    };
    let chips: String = chips.iter().map(chip).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><header><h1>{title}</h1><p class=\"lead\">{lead}</p>\
         <ul class=\"chips\">{chips}</ul></header>\n<main>{body}</main>\n\
         <footer>Written by supple-bench {}. The numbers are in {data} beside this page.\
         </footer><script>{SCRIPT}</script></body></html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// A figure with a sentence on how to read it.
pub fn figure(class: &str, heading: &str, svg: &str, caption: &str) -> String {
    format!(
        "<figure class=\"{class}\"><h4>{}</h4>{svg}<figcaption>{caption}</figcaption></figure>",
        escape(heading)
    )
}

/// A part of the page that is folded away at first.
pub fn folded(summary: &str, content: &str) -> String {
    format!("<details><summary>{}</summary>{content}</details>", escape(summary))
}

/// A table: the first column names the row. Cells are HTML.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let names: String = head.iter().map(|name| format!("<th scope=\"col\">{name}</th>")).collect();
    let line = |row: &Vec<String>| {
        let cell = |(i, cell): (usize, &String)| {
            if i == 0 { format!("<th scope=\"row\">{cell}</th>") } else { format!("<td>{cell}</td>") }
        };
        format!("<tr>{}</tr>", row.iter().enumerate().map(cell).collect::<String>())
    };
    let rows: String = rows.iter().map(line).collect();
    format!("<div class=\"wide\"><table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div>")
}

/// A name as an anchor.
pub fn anchor(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

const STYLE: &str = include_str!("page.css");

/// Points at the same thing wherever it is.
const SCRIPT: &str = "const mark=(e,on)=>{const t=e.target.closest('[data-e]');if(!t)return;\
const n=CSS.escape(t.dataset.e);document.querySelectorAll('[data-e=\"'+n+'\"]')\
.forEach(o=>o.classList.toggle('hot',on))};\
document.addEventListener('pointerover',e=>mark(e,true));\
document.addEventListener('pointerout',e=>mark(e,false));";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_loads_nothing() {
        let page =
            page("a", "b", &[("seed".into(), "<1>".into())], &figure("", "h", "<svg></svg>", "c"), "d");
        for tag in ["html", "head", "body", "main", "style", "script", "figure"] {
            assert_eq!(page.matches(&format!("</{tag}>")).count(), 1, "{tag}");
        }
        assert!(page.contains("&lt;1&gt;"));
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
