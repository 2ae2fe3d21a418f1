import PluginKit
import Static
import Testing

@Suite struct `Static discovery` {
  private func discovery(_ text: String) throws -> Static {
    try Static(parameters: Parameters(text, declared: Static.manifest.parameters))
  }

  private func found(_ discovery: inout Static, limit: Int) -> [DiscoveryAction] {
    var context = DiscoveryContext(now: .zero, random: RandomSource(seed: 1))
    discovery.handle(.start(swarm: [1, 2, 3]), &context)
    discovery.handle(.query(order: .newest, limit: limit), &context)
    discovery.handle(.stop, &context)
    return context.actions
  }

  @Test func `answers each query with its peers, as many as are wanted`() throws {
    var some = try discovery("peers=example.org:7574+[2001:db8::7]:7000+192.0.2.1:1+192.0.2.1:1")
    let hints = [
      Hint(.name("example.org:7574")), Hint(.name("[2001:db8::7]:7000")), Hint(.name("192.0.2.1:1")),
    ]
    #expect(found(&some, limit: 8) == [.found(hints)])
    #expect(found(&some, limit: 2) == [.found(Array(hints.prefix(2)))])
    #expect(found(&some, limit: 0) == [.found([])])
    #expect(found(&some, limit: -1) == [.found([])])
  }

  @Test func `without peers it finds nobody`() throws {
    var none = try discovery("")
    #expect(found(&none, limit: 8) == [.found([])])
  }

  @Test(arguments: [
    "example.org", "example.org:", ":7574", "example.org:0", "example.org:65536", "[2001:db8::7:7574",
    "[]:7574", "[gg]:7574", "2001:db8::7:7574", "ex ample.org:7574",
  ])
  func `says what is wrong with a peer that cannot be one`(text: String) throws {
    let error = #expect(throws: ParameterError.self) { try discovery("peers=\(text)") }
    #expect(error?.description.contains("HOST:PORT or [IPV6]:PORT") == true)
  }

  @Test func `its text has a bound`() {
    let many = Array(repeating: "example.org:7574", count: 300).joined(separator: "+")
    #expect(throws: ParameterError.self) { try discovery("peers=\(many)") }
  }
}
