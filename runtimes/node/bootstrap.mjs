//! The documented entry of the Node runtime client: loads the client, which is CommonJS.
//! Starting `bootstrap.cjs` directly does the same and spares about 3 ms of module loader at every cold start.
import './bootstrap.cjs';
