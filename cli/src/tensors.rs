//! Named f32 tensors and one JSON text in a safetensors file.
//!
//! The same tensors and the same text give the same bytes: the header holds one metadata key, and tensors stand in
//! the order of their names.

use crate::error::{Failure, Outcome};
use safetensors::tensor::{Dtype, Metadata, TensorView};
use std::collections::BTreeMap;

/// The one key of the header's `__metadata__`.
const KEY: &str = "slicewise";

/// Values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Tensor {
    /// A row of numbers.
    pub(crate) fn vector(values: &[f32]) -> Self {
        Self { shape: vec![values.len()], values: values.to_vec() }
    }

    /// The transpose of a row-major matrix: from `(inputs, outputs)` to PyTorch's `(outputs, inputs)`.
    pub(crate) fn transposed(values: &[f32], rows: usize, columns: usize) -> Self {
        Self { shape: vec![columns, rows], values: transpose(values, rows, columns) }
    }
}

/// Turns a row-major `(rows, columns)` matrix into a row-major `(columns, rows)` one.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    debug_assert_eq!(values.len(), rows * columns);
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// The bytes of the file.
pub(crate) fn encode(metadata: &str, tensors: &Tensors) -> Outcome<Vec<u8>> {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name.as_str(), &tensor.shape[..], bytes)
        })
        .collect();
    let failed = |error| Failure::failed(format!("cannot write the tensors: {error}"));
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let metadata = [(KEY.to_string(), metadata.to_string())].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}

/// The JSON text and the f32 tensors; tensors of other types are passed over.
pub(crate) fn decode(bytes: &[u8]) -> Result<(String, Tensors), String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("is too short for a safetensors file")?;
    let header = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or("is no safetensors file, or is cut short")?;
    let (header, data) = header;
    let header: Metadata =
        serde_json::from_slice(header).map_err(|error| format!("is no safetensors file: {error}"))?;
    if header.data_len() != data.len() {
        return Err(format!(
            "is cut short or too long: its header promises {} bytes of tensors, {} are there",
            header.data_len(),
            data.len()
        ));
    }
    let metadata = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(KEY))
        .ok_or("was not written by slicewise: its metadata has no description of the network")?;
    let tensors = header
        .tensors()
        .iter()
        .filter(|(_, info)| info.dtype == Dtype::F32)
        .filter_map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let (values, _) = data.get(start..end)?.as_chunks::<4>();
            let values = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
            Some((name.clone(), Tensor { shape: info.shape.clone(), values }))
        })
        .collect();
    Ok((metadata.clone(), tensors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Tensors {
        let odd = [f32::NAN, -0.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY, 1.0, 2.0];
        [
            ("b".to_string(), Tensor { shape: vec![2, 3], values: odd.to_vec() }),
            ("a".to_string(), Tensor::vector(&[1.5])),
            ("c".to_string(), Tensor::vector(&[])),
        ]
        .into_iter()
        .collect()
    }

    fn bits(tensors: &Tensors) -> Vec<(String, Vec<usize>, Vec<u32>)> {
        let bits = |tensor: &Tensor| tensor.values.iter().map(|value| value.to_bits()).collect();
        tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone(), bits(tensor))).collect()
    }

    #[test]
    fn every_bit_comes_back() {
        let bytes = encode("{\"x\": \"é\"}", &example()).unwrap();
        let (metadata, tensors) = decode(&bytes).unwrap();
        assert_eq!(metadata, "{\"x\": \"é\"}");
        assert_eq!(bits(&tensors), bits(&example()));
        assert_eq!(encode("{\"x\": \"é\"}", &example()).unwrap(), bytes);
    }

    #[test]
    fn a_matrix_is_transposed() {
        let tensor = Tensor::transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3);
        assert_eq!((tensor.shape, &tensor.values[..]), (vec![3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0][..]));
        assert_eq!(transpose(&tensor.values, 3, 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn damaged_files_are_told() {
        let bytes = encode("{}", &example()).unwrap();
        for end in 0..bytes.len() {
            let message = decode(&bytes[..end]).unwrap_err();
            assert!(message.contains("short"), "{end}: {message}");
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).unwrap_err().contains("too long"));
        let foreign = safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None).unwrap();
        assert!(decode(&foreign).unwrap_err().starts_with("was not written by slicewise"));
    }

    /// Offsets near the end of the address space, each tensor sound in itself.
    #[test]
    fn sizes_beyond_the_file_are_refused() {
        let eighth = (1u64 << 61) - 1;
        let entries: Vec<String> = (0..8)
            .map(|i| {
                let (start, end) = (i * eighth, (i + 1) * eighth);
                format!("\"{i}\":{{\"dtype\":\"U8\",\"shape\":[{eighth}],\"data_offsets\":[{start},{end}]}}")
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        assert!(decode(&bytes).unwrap_err().contains("its header promises"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
            let _ = decode(&[&(bytes.len() as u64 / 2).to_le_bytes()[..], &bytes].concat());
        }

        #[test]
        fn no_change_of_one_byte_panics(place in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encode("{}", &example()).unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = decode(&bytes);
        }
    }
}
