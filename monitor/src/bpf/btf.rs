//! A reader of BTF, the kernel's type information (kernel `Documentation/bpf/btf.rst`): offsets of struct
//! members, functions, enum values. Takes any bytes without a panic; needs no kernel.

use std::collections::HashMap;

/// Why type information could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// Not BTF, or cut off.
    #[error("not BTF: {0}")]
    Malformed(&'static str),
    /// No struct or union of that name.
    #[error("no struct `{0}`")]
    NoStruct(String),
    /// The struct has no such member.
    #[error("struct `{0}` has no member `{1}`")]
    NoMember(String, String),
    /// The member is a bit field, which has no byte offset.
    #[error("member `{1}` of struct `{0}` is a bit field")]
    BitField(String, String),
    /// Two structs of that name differ in this member: reading either would be a guess.
    #[error("two structs `{0}` place member `{1}` differently")]
    Ambiguous(String, String),
}

const MAGIC: u16 = 0xEB9F;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FUNC: u32 = 12;
const KIND_PROTOTYPE: u32 = 13;
const KIND_VAR: u32 = 14;
/// Anonymous members nest a few levels in the kernel; more is an attack on the reader.
const DEPTH_MAX: u32 = 16;
/// Members looked at for one name: a kernel's largest struct has a few hundred, and members that nest in each
/// other would otherwise be looked at exponentially often.
const VISITS_MAX: u32 = 1 << 16;
/// Typedefs and qualifiers in a row.
const MODIFIERS_MAX: u32 = 32;

/// Parsed type information.
pub struct Btf {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Byte offset of each type in `types`; index 0 is `void`.
    index: Vec<u32>,
    structs: HashMap<u32, Vec<u32>>,
    names: HashMap<Box<[u8]>, u32>,
    functions: HashMap<u32, u32>,
}

#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    vlen: u32,
    kind_flag: bool,
    /// Size in bytes, or the type referred to.
    extra: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl Btf {
    /// Reads BTF in little-endian order.
    ///
    /// # Errors
    /// [`BtfError::Malformed`] for anything that is not whole and well-formed BTF.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        let bad = BtfError::Malformed;
        let magic =
            u16::from_le_bytes([*bytes.first().ok_or(bad("empty"))?, *bytes.get(1).ok_or(bad("no header"))?]);
        if magic != MAGIC {
            return Err(bad("wrong magic"));
        }
        let field = |at| u32_at(bytes, at).map(|v| v as usize).ok_or(bad("no header"));
        let (header, type_off, type_len, str_off, str_len) =
            (field(4)?, field(8)?, field(12)?, field(16)?, field(20)?);
        let section = |off: usize, len: usize| {
            let start = header.checked_add(off).ok_or(bad("section out of range"))?;
            let end = start.checked_add(len).ok_or(bad("section out of range"))?;
            bytes.get(start..end).ok_or(bad("section out of range"))
        };
        let mut this = Self {
            types: section(type_off, type_len)?.to_vec(),
            strings: section(str_off, str_len)?.to_vec(),
            index: vec![u32::MAX],
            structs: HashMap::new(),
            names: HashMap::new(),
            functions: HashMap::new(),
        };
        this.build_index()?;
        Ok(this)
    }

    fn build_index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let ty = self.type_at(at).ok_or(BtfError::Malformed("a type is cut off"))?;
            let id = u32::try_from(self.index.len()).map_err(|_| BtfError::Malformed("too many types"))?;
            self.index.push(u32::try_from(at).map_err(|_| BtfError::Malformed("too large"))?);
            match ty.kind {
                KIND_STRUCT | KIND_UNION if ty.name != 0 => {
                    let name = self.canonical(ty.name);
                    self.structs.entry(name).or_default().push(id);
                }
                KIND_FUNC => {
                    let name = self.canonical(ty.name);
                    self.functions.insert(name, id);
                }
                _ => {}
            }
            at = ty.next().ok_or(BtfError::Malformed("unknown kind of type"))?;
        }
        Ok(())
    }

    /// One offset for all equal names: the string table may hold a name twice.
    fn canonical(&mut self, offset: u32) -> u32 {
        let name: Box<[u8]> = self.string(offset).into();
        *self.names.entry(name).or_insert(offset)
    }

    fn string(&self, offset: u32) -> &[u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or(&[]);
        rest.split(|b| *b == 0).next().unwrap_or(&[])
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let name = u32_at(&self.types, at)?;
        let info = u32_at(&self.types, at + 4)?;
        let extra = u32_at(&self.types, at + 8)?;
        Some(Type {
            at,
            name,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            kind_flag: info >> 31 == 1,
            extra,
        })
    }

    fn type_by_id(&self, id: u32) -> Option<Type> {
        let at = *self.index.get(id as usize)?;
        if at == u32::MAX { None } else { self.type_at(at as usize) }
    }

    /// Follows typedefs and qualifiers to the type itself.
    fn resolve(&self, mut id: u32) -> Option<(u32, Type)> {
        for _ in 0..MODIFIERS_MAX {
            let ty = self.type_by_id(id)?;
            match ty.kind {
                // typedef, volatile, const, restrict, type tag
                8..=11 | 18 => id = ty.extra,
                _ => return Some((id, ty)),
            }
        }
        None
    }

    fn members(&self, ty: Type) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        (0..ty.vlen as usize).map_while(move |n| {
            let at = ty.at + 12 + n * 12;
            Some((u32_at(&self.types, at)?, u32_at(&self.types, at + 4)?, u32_at(&self.types, at + 8)?))
        })
    }

    /// Bit offset and type of a member, also inside anonymous structs and unions. `Err(())` for a bit field.
    fn member(&self, id: u32, name: &[u8], depth: u32, visits: &mut u32) -> Option<Result<(u64, u32), ()>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let (_, ty) = self.resolve(id)?;
        if ty.kind != KIND_STRUCT && ty.kind != KIND_UNION {
            return None;
        }
        for (member_name, member_type, raw) in self.members(ty) {
            *visits = visits.checked_sub(1)?;
            let (bits, width) = if ty.kind_flag { (raw & 0x00ff_ffff, raw >> 24) } else { (raw, 0) };
            if self.string(member_name) == name {
                return Some(if width == 0 && bits % 8 == 0 {
                    Ok((u64::from(bits), member_type))
                } else {
                    Err(())
                });
            }
            if self.string(member_name).is_empty()
                && let Some(found) = self.member(member_type, name, depth + 1, visits)
            {
                return Some(found.map(|(inner, ty)| (u64::from(bits) + inner, ty)));
            }
        }
        None
    }

    /// Offset in bytes of a member; `path` names nested members by dots.
    ///
    /// # Errors
    /// Every [`BtfError`] but `Malformed`.
    pub fn offset(&self, name: &str, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::NoMember(name.into(), path.into());
        let mut found = None;
        for id in self.structs_of(name)? {
            let offset = match self.walk(*id, path) {
                Some(Ok(offset)) => offset,
                Some(Err(())) => return Err(BtfError::BitField(name.into(), path.into())),
                None => continue,
            };
            if found.is_some_and(|other| other != offset) {
                return Err(BtfError::Ambiguous(name.into(), path.into()));
            }
            found = Some(offset);
        }
        u32::try_from(found.ok_or_else(missing)?).map_err(|_| missing())
    }

    /// Offset in bits of a bit field of one bit.
    ///
    /// # Errors
    /// [`BtfError::NoStruct`], [`BtfError::NoMember`], or [`BtfError::Ambiguous`].
    pub fn bit(&self, name: &str, member: &str) -> Result<u32, BtfError> {
        let of = |id: &u32| {
            let (_, ty) = self.resolve(*id)?;
            let mut members = self.members(ty).filter(|_| ty.kind_flag);
            let found = members.find(|(at, _, raw)| raw >> 24 == 1 && self.string(*at) == member.as_bytes());
            found.map(|(_, _, raw)| raw & 0x00ff_ffff)
        };
        let mut found = self.structs_of(name)?.iter().filter_map(of);
        let first = found.next().ok_or_else(|| BtfError::NoMember(name.into(), member.into()))?;
        match found.all(|bit| bit == first) {
            true => Ok(first),
            false => Err(BtfError::Ambiguous(name.into(), member.into())),
        }
    }

    /// Size of a struct in bytes.
    ///
    /// # Errors
    /// [`BtfError::NoStruct`] or [`BtfError::Ambiguous`].
    pub fn size(&self, name: &str) -> Result<u32, BtfError> {
        let mut sizes =
            self.structs_of(name)?.iter().filter_map(|id| self.type_by_id(*id)).map(|ty| ty.extra);
        let first = sizes.next().ok_or_else(|| BtfError::NoStruct(name.into()))?;
        match sizes.all(|size| size == first) {
            true => Ok(first),
            false => Err(BtfError::Ambiguous(name.into(), "@size".into())),
        }
    }

    /// The type id of the only struct of that name.
    ///
    /// # Errors
    /// [`BtfError::NoStruct`], or [`BtfError::Ambiguous`] if there are several, whatever they hold.
    pub fn struct_id(&self, name: &str) -> Result<u32, BtfError> {
        match self.structs_of(name)? {
            [id] => Ok(*id),
            _ => Err(BtfError::Ambiguous(name.into(), "@id".into())),
        }
    }

    fn structs_of(&self, name: &str) -> Result<&[u32], BtfError> {
        let ids = self.names.get(name.as_bytes()).and_then(|n| self.structs.get(n));
        ids.map(Vec::as_slice).ok_or_else(|| BtfError::NoStruct(name.into()))
    }

    fn walk(&self, mut id: u32, path: &str) -> Option<Result<u64, ()>> {
        let mut bits = 0u64;
        for part in path.split('.') {
            let mut visits = VISITS_MAX;
            match self.member(id, part.as_bytes(), 0, &mut visits)? {
                Ok((offset, ty)) => {
                    bits = bits.checked_add(offset)?;
                    id = ty;
                }
                Err(()) => return Some(Err(())),
            }
        }
        Some(Ok(bits / 8))
    }

    /// True if the kernel has a function of that name with type information.
    pub fn has_function(&self, name: &str) -> bool {
        self.function_id(name).is_some()
    }

    /// True if the kernel has a variable of that name for each CPU, which are the ones that have type information.
    pub fn has_variable(&self, name: &str) -> bool {
        let types = self.index.iter().skip(1).filter_map(|at| self.type_at(*at as usize));
        types.filter(|ty| ty.kind == KIND_VAR).any(|ty| self.string(ty.name) == name.as_bytes())
    }

    /// The type id of the function of that name.
    pub fn function_id(&self, name: &str) -> Option<u32> {
        self.names.get(name.as_bytes()).and_then(|n| self.functions.get(n)).copied()
    }

    /// How many arguments the function of that name takes.
    pub fn arguments_of(&self, name: &str) -> Option<u32> {
        let function = self.type_by_id(self.function_id(name)?)?;
        let prototype = self.type_by_id(function.extra)?;
        (prototype.kind == KIND_PROTOTYPE).then_some(prototype.vlen)
    }

    /// True if the tracepoint of that name has type information.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        let wanted = format!("btf_trace_{name}");
        (1..self.index.len()).any(|id| {
            u32::try_from(id)
                .ok()
                .and_then(|id| self.type_by_id(id))
                .is_some_and(|ty| ty.kind == 8 && self.string(ty.name) == wanted.as_bytes())
        })
    }

    /// Value of an enumerator, whatever enum it belongs to.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        for at in &self.index[1..] {
            let ty = self.type_at(*at as usize)?;
            if ty.kind != KIND_ENUM || self.string(ty.name) != enumeration.as_bytes() {
                continue;
            }
            for n in 0..ty.vlen as usize {
                let at = ty.at + 12 + n * 8;
                if self.string(u32_at(&self.types, at)?) == name.as_bytes() {
                    return u32_at(&self.types, at + 4);
                }
            }
        }
        None
    }
}

impl Type {
    /// Where the next type begins.
    fn next(self) -> Option<usize> {
        let vlen = self.vlen as usize;
        let more = match self.kind {
            // int, var, decl tag
            1 | 14 | 17 => 4,
            KIND_ARRAY => 12,
            // struct, union, datasec, enum64
            KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * vlen,
            // enum, function prototype
            KIND_ENUM | KIND_PROTOTYPE => 8 * vlen,
            // pointer, forward, typedef, volatile, const, restrict, function, float, type tag
            2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
        Some(self.at + 12 + more)
    }
}
