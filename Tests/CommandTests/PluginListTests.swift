import PluginKit
import Testing
import freshet

struct PluginListTests {
  @Test func `Each plugin is listed with its parameters, ranges, interface and path`() {
    let tree = Manifest(
      name: "tree",
      version: "1.2.0",
      summary: "Feeds a few each",
      parameters: [
        Parameter("fanout", .integer(1...64, default: 4), "How many children a peer has"),
        Parameter(
          "patience",
          .duration(.milliseconds(50)...(.seconds(2)), default: .milliseconds(150)),
          "How long"
        ),
      ]
    )
    let udp = Manifest(name: "udp", version: "1.0.0", summary: "Datagrams")
    let text = PluginList.text([
      PluginList.Row(kind: "transport", manifest: udp, generation: 1, path: "/p/libUDP.so"),
      PluginList.Row(kind: "topology", manifest: tree, generation: 1, path: "/p/libTree.so"),
    ])
    #expect(
      text == """
        topology tree 1.2.0  (plugin interface 1)
          Feeds a few each
            fanout=4        1...64     How many children a peer has
            patience=150ms  50ms...2s  How long
          /p/libTree.so

        transport udp 1.0.0  (plugin interface 1)
          Datagrams
          /p/libUDP.so

        """
    )
  }
}
