/// The bytes of a stream's chunks, once for all peers of a simulated world.
///
/// Verified chunks of one number are the same bytes everywhere, as a key never signs a number twice. So whoever finds one
/// genuine keeps only that it has it. The room must be for as many chunks as are held anywhere at one time.
public final class SharedChunks {
  let memory: ContentMemory
  let stride: Int
  private let signatureLength: Int
  /// The chunk that lies in each slot; chunk `n` belongs into slot `n` mod their count.
  private var chunks: [UInt64]

  public init(count: Int, chunkSize: Int, signatureLength: Int) {
    stride = (signatureLength + chunkSize + 15) / 16 * 16
    self.signatureLength = signatureLength
    memory = ContentMemory(byteCount: count * stride)
    chunks = Array(repeating: .max, count: count)
  }

  func offset(of chunk: UInt64) -> Int { Int(chunk % UInt64(chunks.count)) * stride }

  func store(_ chunk: UInt64, _ signature: RawSpan, _ payload: RawSpan) {
    let slot = Int(chunk % UInt64(chunks.count))
    guard chunks[slot] != chunk else { return }
    chunks[slot] = chunk
    memory.write(signature, at: slot * stride)
    memory.write(payload, at: slot * stride + signatureLength)
  }
}
