//! The JSON Schema (2020-12) of WIT types. The mapping of values is part of the HTTP contract; the sandbox converts
//! values in the same way.

use crate::{docs::PackageDocs, names};
use serde_json::{Map, Value, json};
use wit_parser::{Handle, Resolve, Type, TypeDef, TypeDefKind, TypeOwner};

/// The dialect that every schema names.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The largest integer that is a number in JSON; larger ones are strings, since JSON's numbers are exact only up to
/// here (RFC 8259, section 6).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// The largest number of types in one tool, counted at each use: types that are used twice on each of thirty levels
/// would become a billion.
const MAX_TYPES: usize = 2_000;
/// The deepest nesting of types.
const MAX_DEPTH: usize = 60;

/// Builds the schemas of one tool.
pub struct Schemas<'a> {
    pub resolve: &'a Resolve,
    pub docs: &'a PackageDocs,
    /// The number of types so far.
    pub types: usize,
}

impl Schemas<'_> {
    /// The schema of a type.
    ///
    /// # Errors
    /// The type has resources or streams in it, or is too large.
    pub fn of(&mut self, ty: &Type, depth: usize) -> Result<Value, String> {
        self.types += 1;
        if self.types > MAX_TYPES || depth > MAX_DEPTH {
            return Err(format!(
                "its types are too large: more than {MAX_TYPES}, or {MAX_DEPTH} levels"
            ));
        }
        Ok(match ty {
            Type::Bool => json!({"type": "boolean"}),
            Type::U8 => integer(0, i64::from(u8::MAX)),
            Type::U16 => integer(0, i64::from(u16::MAX)),
            Type::U32 => integer(0, i64::from(u32::MAX)),
            Type::S8 => integer(i8::MIN.into(), i8::MAX.into()),
            Type::S16 => integer(i16::MIN.into(), i16::MAX.into()),
            Type::S32 => integer(i32::MIN.into(), i32::MAX.into()),
            Type::U64 => wide_integer(0, "^(0|[1-9][0-9]{0,19})$"),
            Type::S64 => wide_integer(-(MAX_SAFE_INTEGER as i64), "^(0|-?[1-9][0-9]{0,18})$"),
            Type::F32 | Type::F64 => {
                json!({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
            }
            Type::Char => json!({"type": "string", "minLength": 1, "maxLength": 1}),
            Type::String => json!({"type": "string"}),
            Type::ErrorContext => return Err("it has an error-context in it".to_owned()),
            Type::Id(id) => return self.of_definition(&self.resolve.types[*id], depth),
        })
    }

    fn of_definition(&mut self, definition: &TypeDef, depth: usize) -> Result<Value, String> {
        let mut schema = self.of_kind(definition, depth + 1)?;
        if let (Some(docs), Some(object)) = (&definition.docs.contents, schema.as_object_mut()) {
            object
                .entry("description")
                .or_insert_with(|| json!(docs.trim()));
        }
        Ok(schema)
    }

    fn of_kind(&mut self, definition: &TypeDef, depth: usize) -> Result<Value, String> {
        let item_docs = |schemas: &Self, item: &str| schemas.item_docs(definition, item);
        Ok(match &definition.kind {
            TypeDefKind::Record(record) => {
                let mut fields = Vec::new();
                for field in &record.fields {
                    fields.push((field.name.clone(), field.ty, item_docs(self, &field.name)));
                }
                self.of_fields(&fields, depth)?
            }
            TypeDefKind::Variant(variant) => {
                let mut cases = Vec::new();
                for case in &variant.cases {
                    let docs = item_docs(self, &case.name);
                    cases.push(self.of_case(&case.name, case.ty.as_ref(), docs, depth)?);
                }
                json!({"oneOf": cases})
            }
            TypeDefKind::Enum(kind) => {
                let cases: Vec<_> = kind.cases.iter().map(|case| case.name.as_str()).collect();
                json!({"type": "string", "enum": cases})
            }
            TypeDefKind::Flags(flags) => {
                let flags: Vec<_> = flags.flags.iter().map(|flag| flag.name.as_str()).collect();
                json!({"type": "array", "items": {"enum": flags}, "uniqueItems": true})
            }
            TypeDefKind::Tuple(tuple) => {
                let items: Vec<_> = tuple
                    .types
                    .iter()
                    .map(|ty| self.of(ty, depth))
                    .collect::<Result<_, _>>()?;
                let count = items.len();
                json!({"type": "array", "prefixItems": items, "items": false, "minItems": count, "maxItems": count})
            }
            TypeDefKind::Option(ty) => {
                let inner = self.of(ty, depth)?;
                if is_nullable(self.resolve, ty) {
                    // Otherwise `some(none)` could not be distinguished from `none`.
                    let some = json!({"type": "object", "properties": {"some": inner}, "required": ["some"], "additionalProperties": false});
                    json!({"anyOf": [some, {"type": "null"}]})
                } else {
                    json!({"anyOf": [inner, {"type": "null"}]})
                }
            }
            TypeDefKind::Result(result) => {
                let ok = self.of_case("ok", result.ok.as_ref(), None, depth)?;
                let err = self.of_case("err", result.err.as_ref(), None, depth)?;
                json!({"oneOf": [ok, err]})
            }
            TypeDefKind::List(ty) if is_u8(self.resolve, ty) => {
                json!({"type": "string", "contentEncoding": "base64"})
            }
            TypeDefKind::List(ty) => json!({"type": "array", "items": self.of(ty, depth)?}),
            TypeDefKind::Type(ty) => self.of(ty, depth)?,
            TypeDefKind::Resource | TypeDefKind::Handle(Handle::Own(_) | Handle::Borrow(_)) => {
                return Err("it has a resource in it, which JSON can't carry".to_owned());
            }
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) => {
                return Err("it has a future or a stream in it, which JSON can't carry".to_owned());
            }
            TypeDefKind::Map(..) | TypeDefKind::FixedLengthList(..) | TypeDefKind::Unknown => {
                return Err(format!(
                    "it has a {} in it, which is not supported",
                    definition.kind.as_str()
                ));
            }
        })
    }

    /// The schema of a record, or of a function's parameters. Options may be absent.
    pub fn of_fields(
        &mut self,
        fields: &[(String, Type, Option<String>)],
        depth: usize,
    ) -> Result<Value, String> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, ty, docs) in fields {
            let mut schema = self.of(ty, depth)?;
            if let (Some(docs), Some(object)) = (docs, schema.as_object_mut()) {
                object.insert("description".to_owned(), json!(docs.trim()));
            }
            properties.insert(name.clone(), schema);
            if !is_option(self.resolve, ty) {
                required.push(name);
            }
        }
        Ok(
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}),
        )
    }

    fn of_case(
        &mut self,
        name: &str,
        payload: Option<&Type>,
        docs: Option<String>,
        depth: usize,
    ) -> Result<Value, String> {
        let mut schema = match payload {
            None => json!({"const": name}),
            Some(ty) => {
                let payload = self.of(ty, depth)?;
                json!({"type": "object", "properties": {name: payload}, "required": [name], "additionalProperties": false})
            }
        };
        if let Some(docs) = docs {
            schema["description"] = json!(docs.trim());
        }
        Ok(schema)
    }

    fn item_docs(&self, definition: &TypeDef, item: &str) -> Option<String> {
        let interface = match definition.owner {
            TypeOwner::Interface(id) => Some(
                self.resolve.interfaces[id]
                    .name
                    .as_deref()
                    .map(names::short)?,
            ),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        self.docs.item(interface, definition.name.as_deref()?, item)
    }
}

fn integer(minimum: i64, maximum: i64) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum})
}

fn wide_integer(minimum: i64, pattern: &str) -> Value {
    json!({"anyOf": [
        {"type": "integer", "minimum": minimum, "maximum": MAX_SAFE_INTEGER},
        {"type": "string", "pattern": pattern},
    ]})
}

/// The kind of a type, behind any aliases (`type a = b`).
fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types[*id].kind {
        TypeDefKind::Type(ty @ Type::Id(_)) => kind(resolve, ty),
        kind => Some(kind),
    }
}

fn is_option(resolve: &Resolve, ty: &Type) -> bool {
    matches!(kind(resolve, ty), Some(TypeDefKind::Option(_)))
}

/// Whether a value of this type can be JSON's null, which only options can.
fn is_nullable(resolve: &Resolve, ty: &Type) -> bool {
    is_option(resolve, ty)
}

fn is_u8(resolve: &Resolve, ty: &Type) -> bool {
    match ty {
        Type::U8 => true,
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => is_u8(resolve, ty),
            _ => false,
        },
        _ => false,
    }
}
