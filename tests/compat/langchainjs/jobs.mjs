// LangChain's vector store for Milvus goes through trials: node jobs.mjs HOST:PORT

import { Milvus } from "@langchain/community/vectorstores/milvus";
import { Document } from "@langchain/core/documents";
import { Embeddings } from "@langchain/core/embeddings";
import { address, database, run, token } from "../frameworks/trials.mjs";

const TEXTS = ["apples grow on trees", "whales swim in the sea"];

// How often each of four letters occurs, and never all zeros.
const vector = (text) => [..."aeio"].map((letter) => text.split(letter).length);

class Letters extends Embeddings {
  constructor() {
    super({});
  }

  async embedDocuments(texts) {
    return texts.map(vector);
  }

  async embedQuery(text) {
    return vector(text);
  }
}

const options = (collectionName) => ({ collectionName, clientConfig: { address, token, database, logLevel: "error" } });
const documents = () => TEXTS.map((pageContent, id) => new Document({ pageContent, metadata: { page: id } }));
const opened = (collection) => Milvus.fromExistingCollection(new Letters(), options(collection));

async function found(store) {
  return (await store.similaritySearch(TEXTS[0], 1)).map((each) => each.pageContent);
}

await run({
  create: async (collection) => void (await Milvus.fromDocuments(documents(), new Letters(), options(collection))),
  search: async (collection) => found(await opened(collection)),
  insert: async (collection) => void (await (await opened(collection)).addDocuments(documents())),
  delete: async (collection) => void (await (await opened(collection)).delete({ filter: "page == 1" })),
});
