"""What the shop's data is made of: Brazilian states and cities, names, categories, sellers."""

from __future__ import annotations

# (state, weight, cities): roughly how Brazilian online shopping is spread.
PLACES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("SP", 0.41, ("São Paulo", "Campinas", "Guarulhos", "Santos", "Ribeirão Preto", "Sorocaba")),
    ("RJ", 0.13, ("Rio de Janeiro", "Niterói", "Petrópolis", "Duque de Caxias")),
    ("MG", 0.12, ("Belo Horizonte", "Uberlândia", "Juiz de Fora", "Contagem")),
    ("RS", 0.06, ("Porto Alegre", "Caxias do Sul", "Pelotas")),
    ("PR", 0.05, ("Curitiba", "Londrina", "Maringá")),
    ("SC", 0.04, ("Florianópolis", "Joinville", "Blumenau")),
    ("BA", 0.04, ("Salvador", "Feira de Santana", "Vitória da Conquista")),
    ("DF", 0.03, ("Brasília",)),
    ("GO", 0.03, ("Goiânia", "Anápolis")),
    ("ES", 0.02, ("Vitória", "Vila Velha")),
    ("PE", 0.02, ("Recife", "Olinda", "Caruaru")),
    ("CE", 0.02, ("Fortaleza", "Juazeiro do Norte")),
    ("PA", 0.01, ("Belém", "Santarém")),
    ("AM", 0.01, ("Manaus",)),
    ("MA", 0.01, ("São Luís",)),
)

FIRST_NAMES = (
    "Ana", "Antônio", "Beatriz", "Bruno", "Camila", "Carlos", "Cauã", "Débora", "Diego", "Eduardo",
    "Fernanda", "Francisco", "Gabriela", "Gustavo", "Helena", "Heitor", "Inês", "João", "José",
    "Júlia", "Larissa", "Letícia", "Lívia", "Lucas", "Luís", "Luiza", "Manuela", "Marcos", "Maria",
    "Mariana", "Matheus", "Miguel", "Natália", "Otávio", "Patrícia", "Paulo", "Pedro", "Rafael",
    "Raquel", "Renata", "Sérgio", "Sofia", "Tânia", "Thiago", "Vanessa", "Vinícius", "Yasmin",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Alves", "Araújo", "Barbosa", "Barros", "Cardoso", "Carvalho", "Castro", "Conceição",
    "Correia", "Costa", "Dias", "Duarte", "Farias", "Fernandes", "Ferreira", "Freitas", "Gomes",
    "Gonçalves", "Lima", "Lopes", "Machado", "Magalhães", "Martins", "Melo", "Mendes", "Moraes",
    "Moreira", "Nascimento", "Nogueira", "Nunes", "Oliveira", "Pereira", "Pinto", "Ramos",
    "Ribeiro", "Rocha", "Rodrigues", "Santana", "Santos", "Silva", "Soares", "Souza",
    "Teixeira", "Vieira",
)  # fmt: skip

# (category, English, department, share of products, typical price in BRL, typical weight in g,
#  kinds of product)
CATEGORIES: tuple[tuple[str, str, str, float, float, int, tuple[str, ...]], ...] = (
    ("beleza_saude", "health_beauty", "Personal", 0.11, 60, 350,
     ("Creme hidratante", "Perfume", "Sérum facial", "Kit de maquiagem")),
    ("cama_mesa_banho", "bed_bath_table", "Home", 0.11, 95, 1400,
     ("Jogo de lençóis", "Toalha de banho", "Edredom", "Toalha de mesa")),
    ("esporte_lazer", "sports_leisure", "Leisure", 0.10, 120, 1800,
     ("Bola de vôlei", "Tapete de ioga", "Halteres", "Barraca")),
    ("informatica_acessorios", "computers_accessories", "Technology", 0.09, 140, 700,
     ("Mouse sem fio", "Teclado mecânico", "Hub USB", "Suporte de notebook")),
    ("moveis_decoracao", "furniture_decor", "Home", 0.09, 160, 5200,
     ("Luminária", "Prateleira", "Tapete", "Mesa lateral")),
    ("utilidades_domesticas", "housewares", "Home", 0.08, 80, 1500,
     ("Jogo de panelas", "Organizador", "Garrafa térmica", "Conjunto de facas")),
    ("relogios_presentes", "watches_gifts", "Personal", 0.07, 190, 300,
     ("Relógio", "Pulseira", "Kit de presente")),
    ("telefonia", "telephony", "Technology", 0.06, 75, 200,
     ("Capa de celular", "Carregador", "Película", "Fone de ouvido")),
    ("automotivo", "auto", "Leisure", 0.05, 135, 2300,
     ("Capa de banco", "Som automotivo", "Kit de limpeza")),
    ("brinquedos", "toys", "Leisure", 0.05, 90, 1100,
     ("Quebra-cabeça", "Boneca", "Jogo de tabuleiro", "Carrinho")),
    ("bebes", "baby", "Personal", 0.05, 110, 1600,
     ("Mamadeira", "Manta", "Cadeirinha", "Móbile")),
    ("papelaria", "stationery", "Leisure", 0.04, 35, 500,
     ("Caderno", "Caneta-tinteiro", "Agenda")),
    ("eletrodomesticos", "home_appliances", "Technology", 0.04, 320, 6500,
     ("Liquidificador", "Cafeteira", "Aspirador", "Fritadeira elétrica")),
    ("pet_shop", "pet_shop", "Leisure", 0.04, 70, 2600,
     ("Ração", "Cama para cães", "Arranhador")),
    ("livros", "books", "Leisure", 0.02, 45, 450, ("Romance", "Livro de receitas", "Biografia")),
)  # fmt: skip

ADJECTIVES = (
    "premium", "infantil", "de luxo", "essencial", "resistente", "elegante", "portátil", "especial",
    "simples", "grande",
)  # fmt: skip
SIZES = ("P", "M", "G", "110 V", "220 V", "kit, 2 peças", "kit, 3 peças", '15"', "único")

SELLER_WORDS = (
    "Casa", "Empório", "Mundo", "Loja", "Ponto", "Armazém", "Estação", "Central",
    "Espaço", "Ateliê",
)  # fmt: skip
SELLER_NAMES = (
    "Aurora", "Bem-te-vi", "Cajueiro", "Dona Lúcia", "Estrela", "Flor de Lis", "Girassol", "Ipê",
    "Jacarandá", "Lagoa", "Maré", "Nova Era", "Oásis", "Paraíso", "Quintal", "Serra Azul",
)  # fmt: skip

HOURS = (
    0.010, 0.006, 0.004, 0.003, 0.003, 0.005, 0.012, 0.024, 0.040, 0.055, 0.064, 0.066,
    0.062, 0.060, 0.062, 0.064, 0.064, 0.060, 0.056, 0.060, 0.068, 0.070, 0.054, 0.028,
)  # fmt: skip
"""Share of a day's orders by local hour."""

WEEKDAYS = (1.10, 1.08, 1.05, 1.02, 0.98, 0.84, 0.93)
"""Monday first."""

MONTHS = (0.94, 0.90, 0.96, 0.97, 1.06, 1.00, 0.97, 1.00, 0.98, 1.02, 1.22, 1.16)
"""January first: Mother's Day in May, Black Friday in November, Christmas."""
