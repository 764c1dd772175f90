//! Takes out of the eBPF object what nobody reads: the compiler's debugging sections, which are two thirds of it, and which
//! the daemon would have in its memory as it embeds the object. BTF has sections of its own.

use anyhow::Context as _;
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

/// The object without `.debug_*` and the relocations for them.
pub(crate) fn without_dwarf(object: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("the eBPF object is no ELF file")?;
    let is_dwarf = |name: &[u8]| [b".debug_".as_slice(), b".rel.debug_"].iter().any(|p| name.starts_with(p));
    for section in &mut builder.sections {
        section.delete |= is_dwarf(&section.name);
    }
    builder.delete_orphans();
    // LLVM puts the names of sections and of symbols into one table, the library wants one for each.
    if !builder.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        let names = builder.sections.add();
        names.name = b".shstrtab".as_slice().into();
        names.sh_type = SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut stripped = Vec::new();
    builder.write(&mut stripped).context("the eBPF object cannot be written without debugging sections")?;
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use object::elf::{EM_BPF, ET_REL, SHT_PROGBITS};
    use object::{Endianness, Object as _, ObjectSection as _};

    use super::*;

    #[test]
    fn keeps_btf_and_code() {
        let mut builder = Builder::new(Endianness::Little, true);
        builder.header.e_type = ET_REL;
        builder.header.e_machine = EM_BPF;
        for name in [".text", ".BTF", ".BTF.ext", ".debug_info", ".rel.debug_info", ".debugged"] {
            let section = builder.sections.add();
            section.name = name.as_bytes().into();
            section.sh_type = SHT_PROGBITS;
            section.sh_addralign = 1;
            section.data = SectionData::Data(name.as_bytes().into());
        }
        let names = builder.sections.add();
        names.name = b".shstrtab".as_slice().into();
        names.sh_type = SHT_STRTAB;
        names.data = SectionData::SectionString;
        builder.set_section_sizes();
        let mut object = Vec::new();
        builder.write(&mut object).expect("written");

        let stripped = without_dwarf(&object).expect("stripped");
        let file = object::File::parse(stripped.as_slice()).expect("an object");
        for name in [".text", ".BTF", ".BTF.ext", ".debugged"] {
            let section = file.section_by_name(name).expect(name);
            assert_eq!(section.data().expect("its bytes"), name.as_bytes());
        }
        let left: Vec<_> = file.sections().filter_map(|s| Some(s.name().ok()?.to_owned())).collect();
        assert!(!left.iter().any(|name| name.contains(".debug_")), "{left:?}");
    }
}
