/// Why something cannot be emulated, as one sentence for the user.
package struct EmulationError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
