//! Schemas of Avro files: JSON that names types, which may hold each other in any way. Knows how a column of
//! each type is called in Arrow, so that fields are found and read as those of other formats.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType as Arrow, Field, Fields, TimeUnit, UnionFields, UnionMode};
use serde_json::Value;

/// Most types of a schema: bounds what a header makes.
const TYPES_MAX: usize = 16_384;
/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 64;
/// Most types that a value may be made of, each counted as often as it comes: a schema whose records hold each
/// other many times would keep its readers busy without a byte of data.
const WEIGHT_MAX: u64 = 1 << 20;

/// A type; others that it holds are numbers in [`Types`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<usize>),
    Date,
    TimeMillis,
    TimeMicros,
    /// An instant; true for one of UTC.
    Timestamp(TimeUnit, bool),
    /// A decimal with so many digits behind its point, in bytes or in so many of them.
    Decimal(i8, Option<usize>),
}

/// All types of a schema.
#[derive(Debug)]
pub(crate) struct Types {
    pub all: Vec<Type>,
    /// The fields of a row, with their types.
    pub fields: Vec<(String, usize)>,
}

impl Types {
    /// Parses a schema, whose type is a record.
    ///
    /// # Errors
    /// A clause for people.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let json: Value =
            serde_json::from_slice(json).map_err(|error| format!("its schema is no JSON: {error}"))?;
        let mut parser = Parser { all: Vec::new(), weights: Vec::new(), named: HashMap::new() };
        let root = parser.parse(&json, "", 0).ok_or("its schema is not one of Avro, or too large")?;
        let Type::Record(types) = &parser.all[root] else {
            return Err("its rows are no records: its schema is not that of a record".into());
        };
        let names = json.get("fields").and_then(Value::as_array).into_iter().flatten();
        let names = names.filter_map(|field| field.get("name").and_then(Value::as_str)).map(str::to_owned);
        let fields = names.zip(types.iter().copied()).collect();
        Ok(Self { all: parser.all, fields })
    }

    /// The branch of a union that holds values, its number, and that of the branch for what is missing; none
    /// for other unions.
    pub fn optional(&self, branches: &[usize]) -> Option<(usize, usize)> {
        match branches {
            [null, value] if self.all[*null] == Type::Null => Some((*value, 1)),
            [value, null] if self.all[*null] == Type::Null => Some((*value, 0)),
            _ => None,
        }
    }

    /// The Arrow type of a field, and whether its values may be missing.
    pub fn arrow(&self, index: usize) -> (Arrow, bool) {
        let nothing = || Arc::new(Field::new("item", Arrow::Null, true));
        let datatype = match &self.all[index] {
            Type::Null => Arrow::Null,
            Type::Boolean => Arrow::Boolean,
            Type::Int => Arrow::Int32,
            Type::Long => Arrow::Int64,
            Type::Float => Arrow::Float32,
            Type::Double => Arrow::Float64,
            Type::Bytes | Type::Fixed(_) => Arrow::Binary,
            Type::Text | Type::Enum(_) => Arrow::Utf8,
            Type::Array(_) | Type::Map(_) => Arrow::List(nothing()),
            Type::Record(_) => Arrow::Struct(Fields::empty()),
            Type::Union(branches) => match self.optional(branches) {
                Some((value, _)) if !matches!(self.all[value], Type::Union(_)) => {
                    return (self.arrow(value).0, true);
                }
                _ => Arrow::Union(UnionFields::empty(), UnionMode::Dense),
            },
            Type::Date => Arrow::Date32,
            Type::TimeMillis => Arrow::Time32(TimeUnit::Millisecond),
            Type::TimeMicros => Arrow::Time64(TimeUnit::Microsecond),
            Type::Timestamp(unit, utc) => Arrow::Timestamp(*unit, utc.then(|| "UTC".into())),
            Type::Decimal(scale, _) => Arrow::Decimal128(38, *scale),
        };
        (datatype, false)
    }
}

struct Parser {
    all: Vec<Type>,
    /// How many types each is made of.
    weights: Vec<u64>,
    /// Numbers of types with names, by full name.
    named: HashMap<String, usize>,
}

impl Parser {
    /// Adds a type; none where it is no schema.
    fn parse(&mut self, json: &Value, space: &str, depth: usize) -> Option<usize> {
        if depth > DEPTH_MAX || self.all.len() >= TYPES_MAX {
            return None;
        }
        match json {
            Value::String(name) => self.by_name(name, space),
            Value::Array(branches) => {
                let branches = branches
                    .iter()
                    .map(|branch| self.parse(branch, space, depth + 1))
                    .collect::<Option<_>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(object) => match object.get("type")? {
                Value::String(name) => self.complex(name, json, space, depth),
                inner => self.parse(inner, space, depth + 1),
            },
            _ => None,
        }
    }

    /// Adds a type; none where it is made of too many.
    fn add(&mut self, parsed: Type) -> Option<usize> {
        self.weights.push(self.weigh(&parsed)?);
        self.all.push(parsed);
        Some(self.all.len() - 1)
    }

    fn weigh(&self, parsed: &Type) -> Option<u64> {
        let parts = match parsed {
            Type::Array(part) | Type::Map(part) => std::slice::from_ref(part),
            Type::Union(parts) | Type::Record(parts) => parts,
            _ => &[],
        };
        let weight = 1 + parts.iter().map(|part| self.weights[*part]).sum::<u64>();
        (weight <= WEIGHT_MAX).then_some(weight)
    }

    fn by_name(&mut self, name: &str, space: &str) -> Option<usize> {
        let primitive = match name {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "int" => Type::Int,
            "long" => Type::Long,
            "float" => Type::Float,
            "double" => Type::Double,
            "bytes" => Type::Bytes,
            "string" => Type::Text,
            _ => return self.named.get(&full_name(name, space)).or_else(|| self.named.get(name)).copied(),
        };
        self.add(primitive)
    }

    fn complex(&mut self, kind: &str, json: &Value, space: &str, depth: usize) -> Option<usize> {
        match kind {
            "array" => {
                let items = self.parse(json.get("items")?, space, depth + 1)?;
                return self.add(Type::Array(items));
            }
            "map" => {
                let values = self.parse(json.get("values")?, space, depth + 1)?;
                return self.add(Type::Map(values));
            }
            "record" | "error" | "enum" | "fixed" => {}
            name => {
                let index = self.by_name(name, space)?;
                let logical = logical(json, &self.all[index]);
                return logical.map_or(Some(index), |logical| self.add(logical));
            }
        }
        let space = json.get("namespace").and_then(Value::as_str).unwrap_or(space);
        let full = full_name(json.get("name")?.as_str()?, space);
        let space = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        // Its name is known within itself.
        let index = self.add(Type::Null)?;
        self.named.insert(full, index);
        let parsed = match kind {
            "enum" => {
                let symbols = json.get("symbols")?.as_array()?.iter();
                Type::Enum(symbols.map(|symbol| symbol.as_str().map(str::to_owned)).collect::<Option<_>>()?)
            }
            "fixed" => {
                let fixed = Type::Fixed(usize::try_from(json.get("size")?.as_u64()?).ok()?);
                logical(json, &fixed).unwrap_or(fixed)
            }
            _ => {
                let fields = json.get("fields")?.as_array()?.iter();
                let field = |field: &Value| {
                    field.get("name")?.as_str()?;
                    self.parse(field.get("type")?, &space, depth + 1)
                };
                Type::Record(fields.map(field).collect::<Option<_>>()?)
            }
        };
        self.weights[index] = self.weigh(&parsed)?;
        self.all[index] = parsed;
        Some(index)
    }
}

fn full_name(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}

/// What a type stands for by its logical type; none where that is not known, so that it is what it is.
fn logical(json: &Value, base: &Type) -> Option<Type> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    Some(match (json.get("logicalType")?.as_str()?, base) {
        ("date", Type::Int) => Type::Date,
        ("time-millis", Type::Int) => Type::TimeMillis,
        ("time-micros", Type::Long) => Type::TimeMicros,
        ("timestamp-millis", Type::Long) => Type::Timestamp(Millisecond, true),
        ("timestamp-micros", Type::Long) => Type::Timestamp(Microsecond, true),
        ("timestamp-nanos", Type::Long) => Type::Timestamp(Nanosecond, true),
        ("local-timestamp-millis", Type::Long) => Type::Timestamp(Millisecond, false),
        ("local-timestamp-micros", Type::Long) => Type::Timestamp(Microsecond, false),
        ("local-timestamp-nanos", Type::Long) => Type::Timestamp(Nanosecond, false),
        ("decimal", Type::Bytes | Type::Fixed(_)) => {
            let scale = json.get("scale").map_or(Some(0), Value::as_u64)?;
            let precision = json.get("precision")?.as_u64()?;
            let size = if let Type::Fixed(size) = base { Some(*size) } else { None };
            // What has more digits stays bytes.
            (precision <= 38).then_some(Type::Decimal(i8::try_from(scale).ok()?, size))?
        }
        _ => return None,
    })
}
