//! A wrapper around a deserializer which accepts only objects for structs, at any depth.

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use std::fmt;

/// The largest integer up to which every integer is exact in 64-bit floating point.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Wraps a deserializer, a seed, or the access to a sequence, an object or a variant, so that everything it hands on is
/// wrapped too.
pub struct Strict<T>(pub T);

/// The kind of value that a type asked for.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Anything,
    Object,
    Integer,
}

macro_rules! forward {
    ($($method:ident($($name:ident: $kind:ty),*) $wanted:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Watch { visitor, wanted: Wanted::$wanted })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward! {
        deserialize_any() Anything;
        deserialize_bool() Anything;
        deserialize_i8() Integer;
        deserialize_i16() Integer;
        deserialize_i32() Integer;
        deserialize_i64() Integer;
        deserialize_i128() Integer;
        deserialize_u8() Integer;
        deserialize_u16() Integer;
        deserialize_u32() Integer;
        deserialize_u64() Integer;
        deserialize_u128() Integer;
        deserialize_f32() Anything;
        deserialize_f64() Anything;
        deserialize_char() Anything;
        deserialize_str() Anything;
        deserialize_string() Anything;
        deserialize_bytes() Anything;
        deserialize_byte_buf() Anything;
        deserialize_option() Anything;
        deserialize_unit() Anything;
        deserialize_unit_struct(name: &'static str) Anything;
        deserialize_newtype_struct(name: &'static str) Anything;
        deserialize_seq() Anything;
        deserialize_tuple(len: usize) Anything;
        deserialize_tuple_struct(name: &'static str, len: usize) Anything;
        deserialize_map() Object;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) Object;
        deserialize_identifier() Anything;
        deserialize_ignored_any() Anything;
    }

    /// Reads any value first, because serde_json calls a value that can't be an enum malformed JSON.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Choice { visitor, variants })
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// A visitor that receives wrapped accesses.
struct Watch<V> {
    visitor: V,
    wanted: Wanted,
}

macro_rules! visit {
    ($($method:ident($kind:ty);)*) => {$(
        fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(out)
    }

    visit! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it has no fraction and is within the bounds"
    )]
    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        if self.wanted != Wanted::Integer || value.fract() != 0.0 || value.abs() > MAX_EXACT {
            self.visitor.visit_f64(value)
        } else if value < 0.0 {
            self.visitor.visit_i64(value as i64)
        } else {
            self.visitor.visit_u64(value as u64)
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if self.wanted == Wanted::Object {
            return Err(A::Error::invalid_type(Unexpected::Seq, &"a map"));
        }
        self.visitor.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Strict(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, choice: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Strict(choice))
    }
}

/// The visitor of an enum, which is a variant's name or an object with that one member.
struct Choice<V> {
    visitor: V,
    variants: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Choice<V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .variants
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        write!(out, "one of {}", names.join(", "))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<V::Value, E> {
        self.visitor.visit_enum(name.into_deserializer())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<V::Value, A::Error> {
        let one = MapAccessDeserializer::new(Strict(&mut members));
        let value = self.visitor.visit_enum(one)?;
        if members.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("must have one member only"));
        }
        Ok(value)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.0.variant_seed(seed)?;
        Ok((name, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0
            .tuple_variant(len, watched(visitor, Wanted::Anything))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0
            .struct_variant(fields, watched(visitor, Wanted::Object))
    }
}

fn watched<V>(visitor: V, wanted: Wanted) -> Watch<V> {
    Watch { visitor, wanted }
}
