//! Fuzz input as a supply of small numbers and byte strings: every input means something, and a small
//! change of it a small change of what it means.

/// What is left of an input. An empty one supplies zeros.
#[derive(Debug, Clone, Copy)]
pub struct Supply<'a>(pub &'a [u8]);

impl<'a> Supply<'a> {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// The next two bytes as a number.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next four bytes as a number.
    pub fn word(&mut self) -> u32 {
        u32::from(self.short()) | u32::from(self.short()) << 16
    }

    /// The next eight bytes as a number.
    pub fn long(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }

    /// A number below `end`, from one byte.
    pub fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    /// A number that is mostly small and sometimes anything: what lengths and counts are.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => self.long(),
            0xfe => u64::from(self.word()),
            0xfd => u64::from(self.short()),
            small => u64::from(small),
        }
    }

    /// At most `bytes` of the next bytes.
    pub fn bytes(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A byte string behind its length.
    pub fn string(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        self.bytes(length)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
