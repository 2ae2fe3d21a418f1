import JSON5

/// What can be read must read the same when it is written again in the plainest way; what cannot names a place in it.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let element: Element
  do {
    element = try Element(bytes)
  } catch {
    precondition(error.position.line >= 1 && error.position.column >= 1)
    precondition(error.position.line <= count + 1 && error.position.column <= count + 1, "no such place")
    precondition(!error.reason.isEmpty && error.reason.utf8.count < 400)
    return 0
  }
  precondition(depth(element) <= Element.depthLimit)
  guard let again = try? Element(Array(text(element).utf8)) else {
    preconditionFailure("what was written cannot be read: \(text(element))")
  }
  precondition(text(again) == text(element), "it changed on the way")
  return 0
}

func depth(_ element: Element) -> Int {
  switch element.kind {
  case .array(let values): 1 + (values.map(depth).max() ?? 0)
  case .object(let members): 1 + (members.map { depth($0.value) }.max() ?? 0)
  default: 0
  }
}

func text(_ element: Element) -> String {
  switch element.kind {
  case .null: return "null"
  case .boolean(let value): return value ? "true" : "false"
  case .integer(let value): return String(value)
  case .number(let value):
    if value.isNaN { return "NaN" }
    return value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
  case .string(let value): return quoted(value)
  case .array(let values): return "[" + values.map(text).joined(separator: ",") + "]"
  case .object(let members):
    return "{" + members.map { quoted($0.name) + ":" + text($0.value) }.joined(separator: ",") + "}"
  }
}

func quoted(_ value: String) -> String {
  var text = "\""
  for unit in value.utf16 {
    let digits = String(unit, radix: 16)
    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }
  return text + "\""
}
