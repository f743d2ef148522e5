//! Text in columns, as Serf prints members and keys.

/// Aligns `rows`, whose cells are separated by `|`: two spaces between columns, the last cell of a row not padded.
pub(crate) fn columns(rows: &[String]) -> String {
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split('|').map(str::trim).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        for (index, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let lines = rows.iter().map(|row| {
        let mut line = String::new();
        for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match index + 1 == row.len() {
                true => line += cell,
                false => line += &format!("{cell:width$}  "),
            }
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_as_captured() {
        let rows = ["node-a|127.0.0.31:17948|alive|dc=east", "c|127.0.0.33:17948|left|", "d|x|alive"];
        let rows = rows.map(str::to_owned);
        assert_eq!(
            columns(&rows),
            "node-a  127.0.0.31:17948  alive  dc=east\nc       127.0.0.33:17948  left   \nd       x                 alive"
        );
        assert_eq!(columns(&[]), "");
    }
}
