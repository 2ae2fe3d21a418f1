package import Wire

/// What a stranger's bytes say, field by field.
///
/// Bytes that end too early, or hold what the fields cannot, give nil rather than half a value.
package protocol ExtensionBody {
  init?(reading reader: inout ByteReader) throws(DecodeError)
}

extension ExtensionBody {
  package init?(_ bytes: RawSpan) {
    var reader = ByteReader(bytes)
    guard let value = try? Self(reading: &reader) else { return nil }
    self = value
  }
}

extension ByteReader {
  /// Copies the next bytes.
  ///
  /// - Precondition: `count` is not negative.
  mutating func copy(_ count: Int) throws(DecodeError) -> [UInt8] {
    let span = try read(count: count)
    return unsafe span.withUnsafeBytes { unsafe Array($0) }
  }

  /// Copies what is left.
  mutating func rest() -> [UInt8] { (try? copy(remaining)) ?? [] }
}
