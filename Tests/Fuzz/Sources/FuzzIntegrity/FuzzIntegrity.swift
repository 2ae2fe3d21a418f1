import Integrity

/// Trees accept only what is theirs, and so do authorities; whatever is read as a swarm id must be written as what it was read from, and no key may accept noise.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  Trees.source.feed(input)
  Certificates.feed(input)
  let text = String(decoding: input, as: UTF8.self)
  if let id = try? SwarmID(base64URL: text) {
    precondition(id.base64URL == text, "the text changed on the way")
    precondition((try? SwarmID(id.bytes)) == id, "an id read from text is none in bytes")
  }
  // The first byte divides the rest into an id and a signature.
  guard let tail = input.first, input.count > Int(tail) else { return 0 }
  let bytes = input.dropFirst().dropLast(Int(tail))
  do throws(IntegrityError) {
    let id = try SwarmID(UnsafeRawBufferPointer(rebasing: bytes).bytes)
    precondition(id.bytes.elementsEqual(bytes), "the bytes changed on the way")
    precondition((try? SwarmID(base64URL: id.base64URL)) == id, "an id read from bytes is none as text")
    let key = try StreamPublicKey(id)
    let signature = UnsafeRawBufferPointer(rebasing: input.suffix(Int(tail)))
    let isValid = key.verify(prefix: RawSpan(), payload: input.bytes, signature: signature.bytes)
    // RSA with a small exponent and modulus, and Ed25519 keys of small order, accept what anybody can make.
    precondition(!isValid || !id.algorithm.isEllipticCurve, "noise was accepted")
  } catch {
    precondition(!error.description.isEmpty)
  }
  return 0
}

extension SignatureAlgorithm {
  fileprivate var isEllipticCurve: Bool { self == .ecdsaP256SHA256 || self == .ecdsaP384SHA384 }
}
