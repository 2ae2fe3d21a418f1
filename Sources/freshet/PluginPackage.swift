internal import Glibc

/// A package for a topology of one's own, as `freshet plugin new` writes it.
package struct PluginPackage: Hashable, Sendable {
  private static let nameLimit = 32
  /// A module or type of such a name hides one that the package uses.
  private static let reserved: Set<String> = [
    "Address", "Advertisement", "Array", "Bool", "Candidate", "Capacity", "Claim", "Contact", "Duration",
    "Foundation",
    "Gap", "Glibc", "Handover", "Hello", "Inbound", "Int", "Link", "Manifest", "Optional", "Parameter",
    "Parameters",
    "PeerID", "PeerRef", "Plugin", "PluginKit", "Purpose", "Role", "Set", "String", "Swift", "Testing",
    "Topology",
    "Transport", "CPluginABI", "Never", "Character", "Double", "Float", "Result", "Error", "Any", "Self",
    "Type",
    "Discovery", "Tests",
  ]

  /// Of its module and of its type; the topology's is the same in small letters.
  package let name: String
  /// The folder of PluginKit, absolute.
  package let kit: String

  init(_ values: Values) throws(UsageError) {
    name = try Self.checked(values.operands[0])
    if let given = try values.optional(Settings.pluginKit) {
      guard let kit = Self.resolved(given), Self.isKit(kit) else {
        throw UsageError(
          "--plugin-kit: \(given) is no folder of PluginKit; it is Sources/PluginKit of a freshet"
        )
      }
      self.kit = kit
    } else if let kit = Self.nearestKit {
      self.kit = kit
    } else {
      throw UsageError(
        "PluginKit does not lie near this program; say with --plugin-kit where the folder Sources/PluginKit of this "
          + "freshet is"
      )
    }
  }

  /// What the topology is called on the command line.
  package var topology: String { name.lowercased() }

  package static func checked(_ name: String) throws(UsageError) -> String {
    let isWord = name.utf8.allSatisfy {
      0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0
    }
    guard 1...nameLimit ~= name.utf8.count, isWord, let first = name.utf8.first, 0x41...0x5A ~= first else {
      throw UsageError(
        "'\(name)' is no name for a topology: it begins with a capital letter and has at most \(nameLimit) letters and "
          + "digits, as in Garland"
      )
    }
    guard !reserved.contains(name) else {
      throw UsageError("'\(name)' is the name of something that every plugin uses; take another one")
    }
    return name
  }

  /// Writes the package into the present folder.
  ///
  /// - Parameter taken: the names of topologies that there are.
  /// - Returns: what to do next.
  /// - Throws: `UsageError` for a name that is taken, `CommandError` for a folder that is there or cannot be written.
  package func write(taken: [String]) throws -> String {
    guard !taken.contains(topology) else {
      throw UsageError("there is a topology called '\(topology)' already; take another name")
    }
    try Self.makeFolder(name)
    for folder in ["Sources", "Sources/\(name)", "Tests", "Tests/\(name)Tests"] {
      try Self.makeFolder("\(name)/\(folder)")
    }
    for (file, text) in files { try Self.write(text, to: "\(name)/\(file)") }
    return """
      \(name)/ is a topology that works: a plain tree. Make it yours in \(name)/Sources/\(name)/\(name).swift.

        cd \(name)
        swift build
        freshet lab check .build/debug/lib\(name).so
        freshet lab run scenario.json5 --plugin .build/debug/lib\(name).so --topology \(topology),tree --seeds 5

      """
  }

  private var files: [(name: String, text: String)] {
    [
      ("Package.swift", PackageResources.Package_txt), (".gitignore", PackageResources.Ignore_txt),
      ("Sources/\(name)/\(name).swift", PackageResources.Topology_txt),
      ("Tests/\(name)Tests/\(name)Tests.swift", PackageResources.Tests_txt),
      ("scenario.json5", PackageResources.Scenario_json5), ("README.md", PackageResources.Readme_md),
    ].map { file, bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      return (
        file,
        text.replacing("NAME", with: name).replacing("LOWER", with: topology).replacing("KIT", with: kit)
      )
    }
  }

  // MARK: Files

  private static func makeFolder(_ path: String) throws(CommandError) {
    guard unsafe mkdir(path, 0o777) == 0 else { throw failure(path, errno) }
  }

  private static func write(_ text: String, to path: String) throws(CommandError) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard file >= 0 else { throw failure(path, errno) }
    defer { close(file) }
    if let code = Descriptor.write(text, to: file) { throw failure(path, code) }
  }

  private static func failure(_ path: String, _ code: Int32) -> CommandError {
    CommandError("\(path) cannot be written: \(unsafe String(cString: strerror(code)))")
  }

  /// Beside the sources from which this program was built.
  private static var nearestKit: String? {
    guard var folder = resolved("/proc/self/exe") else { return nil }
    while let slash = folder.lastIndex(of: "/") {
      folder = String(folder[..<slash])
      if isKit(folder + "/Sources/PluginKit") { return folder + "/Sources/PluginKit" }
    }
    return nil
  }

  private static func isKit(_ folder: String) -> Bool {
    unsafe access(folder + "/Package.swift", R_OK) == 0 && access(folder + "/Sources/PluginKit", R_OK) == 0
  }

  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}
