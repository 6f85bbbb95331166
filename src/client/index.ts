/** Public names of `surgemq/client`. */
export {
  ArgumentError,
  CapacityError,
  ClosedError,
  ConfigError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  PacketRejectedError,
  ProtocolError,
  SubscribeRefusedError,
  TimeoutError,
} from '../base/errors.js';
export {
  AuthenticationError,
  PublishRefusedError,
  ServerDisconnectedError,
  ServerLimitError,
  type ServerReason,
  UnsubscribeRefusedError,
} from '../base/reason-errors.js';
export type { QoS } from '../protocol/packet.js';
export { type Properties, ReasonCode, type UserProperty } from '../protocol/v5/index.js';
export {
  type Authentication,
  type AuthenticationExchange,
  scramSha256,
} from './authentication.js';
export type { CallOptions } from './call.js';
export { Client, connect } from './client.js';
export type {
  ClientEvents,
  ClientState,
  DisconnectOptions,
} from './client-events.js';
export type { ConnectProperties, WillProperties } from './connect-properties.js';
export type { FilterOptions } from './filter-frames.js';
export type { ProtocolLevel as ProtocolVersion } from './handshake.js';
export { compileFilter, matches } from './matcher.js';
export {
  Message,
  type MessageHandler,
  type MessageProperties,
  type Payload,
  type PublishProperties,
} from './message.js';
export { MessageStream } from './message-stream.js';
export type { MessagesOptions } from './messages-options.js';
export type { ClientOptions, Duration, ReconnectOptions, WillOptions } from './options.js';

export type { PublishFailure } from './outgoing-faults.js';
export type { PublishOptions } from './publish-options.js';
export type {
  FilterMap,
  Filters,
  SubscribeOptions,
  SubscribeRequest,
  UnsubscribeOptions,
} from './subscribe-arguments.js';
export type { GrantedSubscription } from './subscription-requests.js';
export type { Pem, TlsOptions } from './tls-options.js';
