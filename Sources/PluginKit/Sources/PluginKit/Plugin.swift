/// What a plugin says about itself before it is made.
public struct Manifest: Sendable, Hashable {
  /// What it is called on the command line: lower case, without spaces.
  public let name: String
  /// Its own version, as `1.2.0`.
  public let version: String
  /// What it does, in one sentence without a full stop.
  public let summary: String
  public let parameters: [Parameter]
  /// Of the events that only come on demand, those that the topology wants.
  public let wants: WantedEvents
  /// What a topology claims about itself, which a lab can check.
  public let claims: [Claim]
  /// What a transport does by itself; `nil` for the other kinds.
  public let traits: TransportTraits?

  public init(
    name: String,
    version: String,
    summary: String,
    parameters: [Parameter] = [],
    wants: WantedEvents = [],
    claims: [Claim] = [],
    traits: TransportTraits? = nil
  ) {
    self.name = name
    self.version = version
    self.summary = summary
    self.parameters = parameters
    self.wants = wants
    self.claims = claims
    self.traits = traits
  }
}

/// Something that a topology promises and a host can check: `freshet lab check` tries to prove it wrong.
public enum Claim: Hashable, Sendable {
  /// No peer hears a chunk twice while nothing is lost and nobody comes, goes or moves.
  case noDuplicates
  /// No peer is its own ancestor.
  case noLoops
  /// No peer sends to more children than the named parameter says; one may take the place of another that is silent a
  /// second before that one is given up.
  case fanOut(parameter: String)
  /// The depth grows with the logarithm of the number of peers, where each can feed two or more.
  case logarithmicDepth
  /// No peer sends to more children than this; as with ``fanOut(parameter:)``.
  case children(atMost: Int)
  /// Whoever was fed and is so no more hears new chunks again within this time, where there is enough upload.
  case repair(within: Duration)
}

/// What one loaded library offers: a topology, a transport or a discovery.
///
/// The library's C function describes it with ``retained(_:)-(Topology.Type)`` and its siblings.
public final class Plugin: Sendable {
  public enum Offer: Sendable {
    case topology(any Topology.Type)
    case transport(any Transport.Type)
    case discovery(any Discovery.Type)
  }

  public let offer: Offer

  public init(_ offer: Offer) { self.offer = offer }

  public var manifest: Manifest {
    switch offer {
    case .topology(let type): type.manifest
    case .transport(let type): type.manifest
    case .discovery(let type): type.manifest
    }
  }

  /// `topology`, `transport` or `discovery`.
  public var kind: String {
    switch offer {
    case .topology: "topology"
    case .transport: "transport"
    case .discovery: "discovery"
    }
  }

  /// The plugin object of a topology, as `plugin_describe` wants it.
  public static func retained(_ type: any Topology.Type) -> UnsafeMutableRawPointer {
    unsafe Unmanaged.passRetained(Plugin(.topology(type))).toOpaque()
  }

  /// The plugin object of a transport, as `plugin_describe` wants it.
  public static func retained(_ type: any Transport.Type) -> UnsafeMutableRawPointer {
    unsafe Unmanaged.passRetained(Plugin(.transport(type))).toOpaque()
  }

  /// The plugin object of a discovery, as `plugin_describe` wants it.
  public static func retained(_ type: any Discovery.Type) -> UnsafeMutableRawPointer {
    unsafe Unmanaged.passRetained(Plugin(.discovery(type))).toOpaque()
  }
}
