//! Pieces of lines that were rendered once and are copied since: what a container or a program looks like in
//! JSON, by the number that changes whenever it would look different.

/// Pieces kept. One whose number has the same place pushes the older one out, which is then rendered again.
const PLACES: usize = 4096;
/// A larger piece is not kept.
const MAX_PIECE: usize = 4096;
/// Bytes of all pieces; beyond it all are forgotten.
const MAX_BYTES: usize = 4 << 20;

#[derive(Clone, Debug, Default)]
struct Piece {
    number: u64,
    /// A place in `bytes` that the renderer chose.
    mark: usize,
    bytes: Vec<u8>,
}

/// The pieces, found by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    pieces: Vec<Piece>,
    bytes: usize,
    /// What is too large to keep, or has no number.
    loose: Piece,
}

impl Fragments {
    /// The piece with this number, and the place in it that `render` returned when it made it. A piece with
    /// number 0 is rendered each time.
    pub(super) fn get(&mut self, number: u64, render: impl FnOnce(&mut Vec<u8>) -> usize) -> (&[u8], usize) {
        if self.pieces.is_empty() {
            self.pieces.resize(PLACES, Piece::default());
        }
        let at = (number % PLACES as u64) as usize;
        if number == 0 || self.pieces[at].number != number {
            return self.make(at, number, render);
        }
        let piece = &self.pieces[at];
        (&piece.bytes, piece.mark)
    }

    #[cold]
    fn make(&mut self, at: usize, number: u64, render: impl FnOnce(&mut Vec<u8>) -> usize) -> (&[u8], usize) {
        self.loose.bytes.clear();
        self.loose.mark = render(&mut self.loose.bytes);
        let size = self.loose.bytes.len();
        if number == 0 || size > MAX_PIECE {
            return (&self.loose.bytes, self.loose.mark);
        }
        if self.bytes + size > MAX_BYTES {
            self.pieces.iter_mut().for_each(|piece| *piece = Piece::default());
            self.bytes = 0;
        }
        let piece = &mut self.pieces[at];
        self.bytes -= piece.bytes.capacity();
        piece.number = number;
        piece.mark = self.loose.mark;
        piece.bytes.clear();
        piece.bytes.extend_from_slice(&self.loose.bytes);
        self.bytes += piece.bytes.capacity();
        (&piece.bytes, piece.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(fragments: &mut Fragments, number: u64, text: &str) -> String {
        let (bytes, mark) = fragments.get(number, |out| {
            out.extend_from_slice(text.as_bytes());
            text.len() / 2
        });
        assert_eq!(mark, bytes.len() / 2);
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_piece_is_rendered_once_a_number() {
        let mut f = Fragments::default();
        assert_eq!(text(&mut f, 7, "first"), "first");
        assert_eq!(text(&mut f, 7, "not asked"), "first");
        assert_eq!(text(&mut f, 7 + PLACES as u64, "pushes it out"), "pushes it out");
        assert_eq!(text(&mut f, 7, "again"), "again");
        assert_eq!(text(&mut f, 0, "no number"), "no number");
        assert_eq!(text(&mut f, 0, "each time"), "each time");
    }

    #[test]
    fn the_pieces_are_bounded() {
        let mut f = Fragments::default();
        let large = "x".repeat(MAX_PIECE);
        for number in 1..10_000 {
            assert_eq!(text(&mut f, number, &large).len(), MAX_PIECE);
            let held: usize = f.pieces.iter().map(|piece| piece.bytes.capacity()).sum();
            assert!(held == f.bytes && held <= MAX_BYTES + MAX_PIECE, "{held}");
        }
        let larger = "x".repeat(MAX_PIECE + 1);
        assert_eq!(text(&mut f, 1, &larger), larger);
        assert_eq!(text(&mut f, 1, "not kept"), "not kept");
    }
}
