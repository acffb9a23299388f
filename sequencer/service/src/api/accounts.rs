//! Accounts as they stand: equity, requirements, positions, open orders, and what an order would
//! change.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tally_api::encoding::hex_of;
use tally_api::message::{OrderMessage, SideBody};
use tally_api::request::client_id;
use tally_api::{ErrorBody, SignedReceipt};
use tally_protocol::account::PublicKey;
use tally_protocol::bounds::SLOTS;
use tally_protocol::instrument::{InstrumentKind, MarketRow, Row};
use tally_protocol::ledger::Running;
use tally_protocol::margin::{Holding, Totals, liquidation_price, totals};
use tally_protocol::tick::margin_row;
use tally_protocol::types::{AccountId, InstrumentId, Side};
use tally_sequencer::engine::{Engine, Live, Whereabouts};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Named};
use super::{ApiError, App};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(account))
        .routes(routes!(open_orders))
        .routes(routes!(order_of_client))
        .routes(routes!(what_if))
}

/// Amounts in micro-quote. Between epochs at the last epoch's rows.
#[derive(Debug, Serialize, ToSchema)]
struct AccountAnswer {
    account: u32,
    position: u64,
    /// L1 owner, 40 hexadecimal digits.
    owner: String,
    #[schema(value_type = String)]
    kind: tally_protocol::account::AccountKind,
    /// The next messages are signed with these.
    nonce: u32,
    generation: u32,
    key: String,
    trading_key: Option<String>,
    /// Carry settled.
    cash: i64,
    #[serde(flatten)]
    totals: TotalsBody,
    /// Epoch of the liquidation flag, 0 for none.
    flagged_at: u32,
    positions: Vec<PositionBody>,
    orders: usize,
}

/// What decides about an account.
#[derive(Debug, Serialize, ToSchema)]
struct TotalsBody {
    equity: i64,
    initial_requirement: u64,
    maintenance_requirement: u64,
    meets_initial: bool,
    is_liquidatable: bool,
    is_bankrupt: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct PositionBody {
    instrument: u32,
    side: SideBody,
    /// Lots.
    size: u64,
    /// Micro-quote per lot.
    mark: u64,
    value: u64,
    initial_requirement: u64,
    maintenance_requirement: u64,
    /// The mark at which the account becomes liquidatable if no other mark moves.
    liquidation_price: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OpenOrder {
    /// The sequencer's name for the order.
    order_id: u64,
    /// Hexadecimal.
    client_id: Option<String>,
    order: OrderMessage,
    /// Lots that may still fill.
    open: u64,
    /// `resting`, `waiting` for its trigger, or `parked` for an epoch in which an L1 item has the
    /// account.
    state: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct ClientOrder {
    receipt: SignedReceipt,
    /// The code of the rule that refused it.
    refused: Option<String>,
    /// While it is open.
    order: Option<OpenOrder>,
}

/// An order that is not signed and not sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WhatIf {
    instrument: u32,
    side: SideBody,
    /// Lots, at most 2^48 - 1.
    size: u64,
    /// Micro-quote per lot, at most 2^42 - 1; the mark where absent.
    price: Option<u64>,
}

/// The account as if the order had filled at its price, without fees.
#[derive(Debug, Serialize, ToSchema)]
struct WhatIfAnswer {
    account: u32,
    price: u64,
    cash: i64,
    #[serde(flatten)]
    totals: TotalsBody,
    position: Option<PositionBody>,
}

fn running(engine: &Engine, account: u32) -> Result<Running, ApiError> {
    let running = engine.running(AccountId(account));
    let running = running.map_err(|error| ApiError::Internal(error.to_string()))?;
    match running.exists {
        true => Ok(running),
        false => Err(ApiError::NotFound("account")),
    }
}

/// \[N5\] What stands in the leaf always fits; what is asked about may not.
fn totals_of(cash: i64, holdings: &[Holding; SLOTS]) -> Result<Totals, ApiError> {
    totals(cash, holdings).map_err(|error| ApiError::Parameter(error.to_string()))
}

impl TotalsBody {
    fn of(totals: &Totals, cash: i64) -> Self {
        Self {
            equity: totals.equity,
            initial_requirement: totals.initial,
            maintenance_requirement: totals.maintenance,
            meets_initial: totals.meets_initial(),
            is_liquidatable: !totals.meets_maintenance() || cash < 0,
            is_bankrupt: totals.equity < 0,
        }
    }
}

fn market_row(engine: &Engine, instrument: InstrumentId) -> Option<MarketRow> {
    engine.market().find(|row| row.id == instrument).copied()
}

fn position(engine: &Engine, holding: &Holding, totals: &Totals) -> Option<PositionBody> {
    let row = market_row(engine, holding.row.id)?;
    let (_, listed) = engine.table().find(|(number, _)| *number == row.row)?;
    let now = Row {
        mark: row.mark,
        ..*listed
    };
    let (size, side) = (holding.size.unsigned_abs(), holding.side());
    Some(PositionBody {
        instrument: row.id.0,
        side: side.into(),
        size,
        mark: row.mark,
        value: size.saturating_mul(holding.row.value),
        initial_requirement: size.saturating_mul(holding.row.initial(side)),
        maintenance_requirement: size.saturating_mul(holding.row.maintenance(side)),
        liquidation_price: liquidation_price(totals, holding.size, &now),
    })
}

/// An account: equity, requirements, and the liquidation price of each position.
#[utoipa::path(
    get, path = "/v1/accounts/{account}", tag = "accounts",
    params(("account" = u32, Path)),
    responses(
        (status = 200, description = "The account", body = AccountAnswer),
        (status = "4XX", description = "No such account", body = ErrorBody),
    ),
)]
async fn account(
    State(app): State<App>,
    Named(account): Named<u32>,
) -> Result<Json<AccountAnswer>, ApiError> {
    let answer = app
        .query(move |engine| answer_of(engine, account))
        .await??;
    Ok(Json(answer))
}

fn answer_of(engine: &Engine, account: u32) -> Result<AccountAnswer, ApiError> {
    let running = running(engine, account)?;
    let holdings = running.places.map(|place| place.holding);
    let totals = totals_of(running.cash, &holdings)?;
    let held = holdings.iter().filter(|holding| holding.size != 0);
    let keys = running.rest.keys;
    let trading = keys.trading_key;
    Ok(AccountAnswer {
        account,
        position: engine.status().position,
        owner: hex::encode(running.owner.0),
        kind: running.rest.kind,
        nonce: running.rest.nonce,
        generation: running.rest.generation,
        key: hex_of(&keys.key),
        trading_key: (trading != PublicKey::default()).then(|| hex_of(&trading)),
        cash: running.cash,
        totals: TotalsBody::of(&totals, running.cash),
        flagged_at: running.flagged_at,
        positions: held
            .filter_map(|holding| position(engine, holding, &totals))
            .collect(),
        orders: engine.open_orders(AccountId(account)).count(),
    })
}

impl From<&Live> for OpenOrder {
    fn from(live: &Live) -> Self {
        let id = live.terms.client_id;
        Self {
            order_id: live.id.0,
            client_id: (id != 0).then(|| format!("{id:x}")),
            order: (&live.order).into(),
            open: live.open,
            state: match live.at {
                Whereabouts::Waiting => "waiting",
                Whereabouts::Parked => "parked",
                Whereabouts::Incoming | Whereabouts::Resting => "resting",
            },
        }
    }
}

/// An account's open orders, by slot.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/orders", tag = "accounts",
    params(("account" = u32, Path)),
    responses(
        (status = 200, description = "The orders", body = Vec<OpenOrder>),
        (status = "4XX", description = "No such account", body = ErrorBody),
    ),
)]
async fn open_orders(
    State(app): State<App>,
    Named(account): Named<u32>,
) -> Result<Json<Vec<OpenOrder>>, ApiError> {
    let found = app
        .query(move |engine| {
            running(engine, account)?;
            let orders = engine.open_orders(AccountId(account));
            Ok::<_, ApiError>(orders.map(OpenOrder::from).collect())
        })
        .await??;
    Ok(Json(found))
}

/// What became of the order that a client named so: its receipt, and the order while it is open.
#[utoipa::path(
    get, path = "/v1/accounts/{account}/orders/{client_id}", tag = "accounts",
    params(("account" = u32, Path), ("client_id" = String, Path)),
    responses(
        (status = 200, description = "The order", body = ClientOrder),
        (status = "4XX", description = "No such order", body = ErrorBody),
    ),
)]
async fn order_of_client(
    State(app): State<App>,
    Named((account, name)): Named<(u32, String)>,
) -> Result<Json<ClientOrder>, ApiError> {
    let name = client_id(&name)?;
    let position = app.store.client(account, name)?;
    let position = position.ok_or(ApiError::NotFound("order"))?;
    let entry = app.store.entry(position)?;
    let entry = entry.ok_or_else(|| ApiError::Internal(format!("no record {position}")))?;
    let refused = app.store.outcome(position)?.and_then(|it| it.refused);
    let order = app.query(move |engine| {
        let id = engine.client_order(AccountId(account), name)?;
        engine.order(id).map(OpenOrder::from)
    });
    Ok(Json(ClientOrder {
        receipt: entry.receipt().sign(&app.domain, &app.receipt_key),
        refused: refused.map(|refused| refused.code),
        order: order.await?,
    }))
}

/// What an account would be if an order filled.
#[utoipa::path(
    post, path = "/v1/accounts/{account}/what-if", tag = "accounts",
    params(("account" = u32, Path)), request_body = WhatIf,
    responses(
        (status = 200, description = "The account then", body = WhatIfAnswer),
        (status = "4XX", description = "No such account or instrument", body = ErrorBody),
    ),
)]
async fn what_if(
    State(app): State<App>,
    Named(account): Named<u32>,
    Body(request): Body<WhatIf>,
) -> Result<Json<WhatIfAnswer>, ApiError> {
    use tally_protocol::bounds::{PRICE_BITS, SIZE_BITS};
    let price = request.price.unwrap_or(0);
    if request.size >> SIZE_BITS != 0 || price >> PRICE_BITS != 0 {
        return Err(ApiError::Parameter("size or price".to_owned()));
    }
    let asked = move |engine: &Engine| if_filled(engine, account, &request);
    Ok(Json(app.query(asked).await??))
}

fn if_filled(engine: &Engine, account: u32, asked: &WhatIf) -> Result<WhatIfAnswer, ApiError> {
    let running = running(engine, account)?;
    let instrument = InstrumentId(asked.instrument);
    let row = market_row(engine, instrument).ok_or(ApiError::NotFound("instrument"))?;
    let price = asked.price.unwrap_or(row.mark);
    // Below 2^48, and held sizes below 2^48: their sum fits.
    let lots = i64::try_from(asked.size).unwrap_or(0);
    let delta = match Side::from(asked.side) {
        Side::Long => lots,
        Side::Short => -lots,
    };
    let paid = match row.kind {
        InstrumentKind::Perpetual => i128::from(price) - i128::from(row.mark),
        _ => i128::from(price),
    };
    let cash = i128::from(running.cash) - i128::from(delta) * paid;
    let too_much = || ApiError::Parameter("the account cannot hold as much".to_owned());
    let cash = i64::try_from(cash).map_err(|_| too_much())?;
    let mut holdings = running.places.map(|place| place.holding);
    let at = running.place_of(instrument);
    let free = || holdings.iter().position(|holding| holding.size == 0);
    let at = at.or_else(free).ok_or_else(too_much)?;
    let (_, listed) = engine
        .table()
        .find(|(number, _)| *number == row.row)
        .ok_or(ApiError::NotFound("instrument"))?;
    let now = Row {
        mark: row.mark,
        ..*listed
    };
    let place = holdings.get_mut(at).ok_or_else(too_much)?;
    if place.size == 0 {
        place.row = margin_row(&now, None);
    }
    place.size += delta;
    let changed = *place;
    let totals = totals_of(cash, &holdings)?;
    Ok(WhatIfAnswer {
        account,
        price,
        cash,
        totals: TotalsBody::of(&totals, cash),
        position: (changed.size != 0)
            .then(|| position(engine, &changed, &totals))
            .flatten(),
    })
}
