-- The shop's own database, as an order-taking application would have it. It has no foreign keys,
-- as many such databases, and so some of its rows point nowhere.
create table customers (
    customer_id bigint primary key,
    name text not null,
    email text,
    phone text,
    city text,
    state text,
    marketing_opt_in boolean not null default false,
    signed_up_at timestamptz not null,
    updated_at timestamptz not null default clock_timestamp()
);
create table orders (
    order_id bigint primary key,
    customer_id bigint not null,
    ordered_at timestamptz not null,
    status text not null,                   -- placed, paid, shipped, delivered, returned, cancelled
    channel text not null,                  -- web, app, marketplace, store
    coupon text,
    discount numeric(12, 2) not null default 0,
    shipping numeric(12, 2) not null default 0,
    ship_to_city text,
    ship_to_state text,
    updated_at timestamptz not null default clock_timestamp()
);
create table order_items (
    order_item_id bigint primary key,
    order_id bigint not null,
    product_id text not null,
    seller_id text not null,
    quantity integer not null,
    unit_price numeric(12, 2) not null,
    updated_at timestamptz not null default clock_timestamp()
);
create table payments (
    payment_id bigint primary key,
    order_id bigint not null,
    method text not null,                   -- credit_card, pix, boleto, voucher
    installments integer not null default 1,
    amount numeric(12, 2) not null,
    status text not null,                   -- pending, paid, failed, refunded
    due_at timestamptz not null,
    paid_at timestamptz,
    updated_at timestamptz not null default clock_timestamp()
);
create table stock_movements (
    movement_id bigint primary key,
    product_id text not null,
    kind text not null,                     -- purchase, sale, return, adjustment
    quantity integer not null,              -- what it adds to the stock: a sale is negative
    order_item_id bigint,
    moved_at timestamptz not null,
    updated_at timestamptz not null default clock_timestamp()
);

-- An update is never older than what was read before it: the application cannot forget to say so.
create function touch() returns trigger language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end $$;
