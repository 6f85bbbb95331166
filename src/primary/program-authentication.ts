/** The function of an embedding program that decides about clients: asked for the shards. */
import { readAdmission } from '../access/admission.js';
import type { Authenticate } from '../base/credentials.js';
import { lineOf, unfitAnswer } from '../connection/authentication.js';
import type { AuthenticationAnswer, AuthenticationQuestion } from '../shard/control.js';

/** Sends answers to a shard; one that is down gets none. */
export type PostAnswers = (shardIndex: number, answers: readonly AuthenticationAnswer[]) => void;

/** One a running broker. It holds nothing of a question while the program takes its time. */
export class ProgramAuthentication {
  readonly #authenticate: Authenticate;
  readonly #post: PostAnswers;
  /** By shard: how often it has died, so that no successor gets an answer of its predecessor's. */
  readonly #deaths: number[] = [];
  readonly #answers = new Map<number, AuthenticationAnswer[]>();

  constructor(authenticate: Authenticate, post: PostAnswers) {
    this.#authenticate = authenticate;
    this.#post = post;
  }

  /** Asks the program; what it answers in one turn goes to the shard together. */
  ask(shardIndex: number, questions: readonly AuthenticationQuestion[]): void {
    const deaths = this.#deathsOf(shardIndex);
    for (const question of questions) {
      const answer = (given: AuthenticationAnswer): void => {
        if (this.#deathsOf(shardIndex) === deaths) this.#add(shardIndex, given);
      };
      this.#askOne(question, answer);
    }
  }

  shardDied(shardIndex: number): void {
    this.#deaths[shardIndex] = this.#deathsOf(shardIndex) + 1;
    this.#answers.delete(shardIndex);
  }

  #askOne(
    { id, ...question }: AuthenticationQuestion,
    answer: (given: AuthenticationAnswer) => void,
  ): void {
    const password = question.password === null ? null : Buffer.from(question.password);
    const fail = (error: unknown): void => answer({ id, fault: lineOf(error) });
    const settle = (given: unknown): void => {
      // Only what it is made of: a program may answer what no thread can send to another.
      const isPlain = given === null || typeof given === 'boolean';
      const verdict = isPlain ? given : readAdmission(given);
      answer(verdict === undefined ? { id, fault: unfitAnswer(given) } : { id, verdict });
    };
    let given: unknown;
    try {
      given = this.#authenticate({ ...question, password });
    } catch (error) {
      fail(error);
      return;
    }
    if (typeof given !== 'object' || given === null) {
      settle(given);
      return;
    }
    new Promise((resolve) => resolve(given)).then(settle, fail);
  }

  #add(shardIndex: number, answer: AuthenticationAnswer): void {
    const answers = this.#answers.get(shardIndex);
    if (answers !== undefined) {
      answers.push(answer);
      return;
    }
    this.#answers.set(shardIndex, [answer]);
    setImmediate(() => {
      const collected = this.#answers.get(shardIndex);
      this.#answers.delete(shardIndex);
      if (collected !== undefined) this.#post(shardIndex, collected);
    });
  }

  #deathsOf(shardIndex: number): number {
    return this.#deaths[shardIndex] ?? 0;
  }
}
