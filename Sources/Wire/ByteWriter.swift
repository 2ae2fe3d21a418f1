extension [UInt8] {
  /// Appends an integer, most significant byte first.
  @inlinable
  public mutating func appendInteger<Integer: FixedWidthInteger & BitwiseCopyable>(_ value: Integer) {
    unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
  }

  /// Appends bytes that are borrowed from elsewhere.
  @inlinable
  public mutating func append(bytes: RawSpan) {
    unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
  }
}
